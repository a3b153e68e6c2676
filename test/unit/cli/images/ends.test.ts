import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFile, parseEnd } from '../../../../src/cli/images/ends.ts'

describe('parseEnd()', () => {
  const ends: readonly (readonly [string, object])[] = [
    ['app:1.0', { kind: 'store', reference: { path: 'app', tag: '1.0' } }],
    ['team/app', { kind: 'store', reference: { path: 'team/app' } }],
    ['localhost/app', { kind: 'registry', reference: { registry: 'localhost', path: 'app' } }],
    ['h:5000/app:1', { kind: 'registry', reference: { registry: 'h:5000', path: 'app', tag: '1' } }],
    ['docker://h.org/app', { kind: 'registry', reference: { registry: 'h.org', path: 'app' } }],
    ['docker://debian:12', { kind: 'registry', reference: { path: 'debian', tag: '12' } }],
    ['store:h.org/app:1', { kind: 'store', reference: { registry: 'h.org', path: 'app', tag: '1' } }],
    ['oci:dir', { kind: 'oci', path: 'dir' }],
    ['oci:/a/dir:1.0', { kind: 'oci', path: '/a/dir', name: '1.0' }],
    ['oci-archive:a.tar:x', { kind: 'oci-archive', path: 'a.tar', name: 'x' }],
    ['docker-archive:a.tar', { kind: 'docker-archive', path: 'a.tar' }],
    ['docker-archive:a.tar:h:5000/app:1', { kind: 'docker-archive', path: 'a.tar', name: 'h:5000/app:1' }],
  ]
  for (const [text, end] of ends) {
    it(`reads ${text}`, () => assert.deepEqual(parseEnd(text), end))
  }

  for (const text of [
    '',
    'oci:',
    'docker-archive:',
    'store:',
    'docker://',
    'Upper',
    'a b',
    'app@sha256:12',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseEnd(text), { code: 'reference-invalid' })
    })
  }

  it('tells files from names', () => {
    assert.equal(isFile(parseEnd('oci:dir')), true)
    assert.equal(isFile(parseEnd('app')), false)
    assert.equal(isFile(parseEnd('h.org/app')), false)
  })
})
