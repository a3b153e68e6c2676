import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Output } from '../../../src/builder/export/output.ts'
import { parseOutputs } from '../../../src/cli/outputs.ts'
import { fakeTerminal } from './fake-terminal.ts'

const terminal = fakeTerminal({ workingDirectory: '/w' })
const refuse = (problem: string): Error => new Error(problem)

describe('parseOutputs()', () => {
  const good: readonly (readonly [string, Output])[] = [
    ['type=store', { type: 'store' }],
    ['type=image', { type: 'store' }],
    ['type=cacheonly', { type: 'cacheonly' }],
    ['type=oci,dest=a.tar', { type: 'oci', tar: true, dest: '/w/a.tar' }],
    ['type=oci,dest=/abs/dir,tar=false', { type: 'oci', tar: false, dest: '/abs/dir' }],
    ['type=docker,dest=a,tar=true', { type: 'docker', tar: true, dest: '/w/a' }],
    ['type=docker,dest=-', { type: 'docker', tar: true, dest: terminal.stdout }],
    ['TYPE=local, dest=out', { type: 'local', dest: '/w/out' }],
    ['type=tar,dest=-', { type: 'tar', dest: terminal.stdout }],
    ['type=tar,dest=out.tar', { type: 'tar', dest: '/w/out.tar' }],
    ['type=tar,"dest=a,b ""c"".tar"', { type: 'tar', dest: '/w/a,b "c".tar' }],
    ['type=tar,dest=a=b', { type: 'tar', dest: '/w/a=b' }],
    ['-', { type: 'tar', dest: terminal.stdout }],
    ['out', { type: 'local', dest: '/w/out' }],
    ['./out', { type: 'local', dest: '/w/out' }],
  ]
  for (const [text, output] of good) {
    it(`reads ${text}`, () => assert.deepEqual(parseOutputs([text], terminal, refuse), [output]))
  }

  it('reads several', () => {
    assert.deepEqual(
      parseOutputs(['type=store', 'out', '-'], terminal, refuse).map(({ type }) => type),
      ['store', 'local', 'tar'],
    )
  })

  const bad: readonly (readonly [string, RegExp])[] = [
    ['type=oci', /type=oci needs dest=/],
    ['type=oci,dest=', /type=oci needs dest=/],
    ['type=zip,dest=a', /type=zip is not one of store, image, cacheonly, oci, docker, local, tar/],
    ['type=constructor', /type=constructor is not one of/],
    ['dest=a', /names no type=/],
    ['type=tar,dest=a,compression=zstd', /type=tar does not take compression=/],
    ['type=local,dest=a,tar=false', /type=local does not take tar=/],
    ['type=local,dest=-', /type=local writes a directory: dest cannot be -/],
    ['type=oci,dest=-,tar=false', /type=oci writes a directory: dest cannot be -/],
    ['type=oci,dest=a,tar=perhaps', /tar= takes true or false, not "perhaps"/],
    ['type=oci,dest', /"dest" is not key=value/],
    ['type=oci,"dest=a', /has a quote that is not closed/],
  ]
  for (const [text, problem] of bad) {
    it(`refuses ${text}`, () => assert.throws(() => parseOutputs([text], terminal, refuse), problem))
  }

  it('refuses two outputs on standard output, and a terminal', () => {
    assert.throws(() => parseOutputs(['-', 'type=oci,dest=-'], terminal, refuse), /only one --output/)
    const tty = fakeTerminal()
    tty.stdout.isTTY = true
    assert.throws(() => parseOutputs(['-'], tty, refuse), /will not write an archive to a terminal/)
    assert.equal(parseOutputs(['out'], tty, refuse).length, 1)
  })
})
