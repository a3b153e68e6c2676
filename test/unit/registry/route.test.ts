import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CodedError } from '../../../src/oci/errors.ts'
import { parseTarget } from '../../../src/registry/route.ts'

const SHA256 = `sha256:${'a'.repeat(64)}`
const SHA512 = `sha512:${'b'.repeat(128)}`

const TARGETS: readonly (readonly [path: string, target: object])[] = [
  ['/v2', { kind: 'ping' }],
  ['/v2/', { kind: 'ping' }],
  ['/v2/_catalog', { kind: 'catalog' }],
  ['/v2/app/tags/list', { kind: 'tags', name: 'app' }],
  ['/v2/a/b__c/d-e.f/tags/list', { kind: 'tags', name: 'a/b__c/d-e.f' }],
  ['/v2/app/manifests/v1', { kind: 'manifest', name: 'app', reference: { tag: 'v1' } }],
  [`/v2/app/manifests/${SHA256}`, { kind: 'manifest', name: 'app', reference: { digest: SHA256 } }],
  [`/v2/app/manifests/${SHA512}`, { kind: 'manifest', name: 'app', reference: { digest: SHA512 } }],
  [`/v2/app/blobs/${SHA512}`, { kind: 'blob', name: 'app', digest: SHA512 }],
  [`/v2/app/blobs/${SHA256.replace(':', '%3A')}`, { kind: 'blob', name: 'app', digest: SHA256 }],
  [`/v2/app/referrers/${SHA256}`, { kind: 'referrers', name: 'app', digest: SHA256 }],
  ['/v2/app/blobs/uploads/', { kind: 'uploads', name: 'app' }],
  ['/v2/app/blobs/uploads', { kind: 'uploads', name: 'app' }],
  ['/v2/app/blobs/uploads/1b-2C', { kind: 'upload', name: 'app', id: '1b-2C' }],
  ['/v2/app/manifests/.bad', { kind: 'bad-tag', name: 'app', text: '.bad' }],
  // Names that hold the words of the API
  [
    '/v2/a/manifests/b/manifests/latest',
    { kind: 'manifest', name: 'a/manifests/b', reference: { tag: 'latest' } },
  ],
  ['/v2/a/manifests/b/tags/list', { kind: 'tags', name: 'a/manifests/b' }],
  ['/v2/tags/list/tags/list', { kind: 'tags', name: 'tags/list' }],
  ['/v2/blobs/uploads/blobs/uploads/', { kind: 'uploads', name: 'blobs/uploads' }],
  [
    '/v2/blobs/uploads/manifests/uploads',
    { kind: 'manifest', name: 'blobs/uploads', reference: { tag: 'uploads' } },
  ],
  ['/v2/app/uploads/tags/list', { kind: 'tags', name: 'app/uploads' }],
]

const REFUSED: readonly (readonly [what: string, path: string, code: string])[] = [
  ['another API', '/v1/app', 'endpoint-unknown'],
  ['an unknown endpoint', '/v2/app/things/x', 'endpoint-unknown'],
  ['an extension', '/v2/_oci/ext/discover', 'endpoint-unknown'],
  ['a name alone', '/v2/app', 'endpoint-unknown'],
  ['no name', '/v2/manifests/latest', 'reference-invalid'],
  ['an empty part', '/v2//app/tags/list', 'reference-invalid'],
  ['capitals', '/v2/App/tags/list', 'reference-invalid'],
  ['..', '/v2/../app/tags/list', 'reference-invalid'],
  ['.. escaped', '/v2/%2e%2e/app/tags/list', 'reference-invalid'],
  ['an escaped slash', '/v2/a%2Fb/tags/list', 'name-invalid'],
  ['an escaped slash in lower case', '/v2/a%2fb/manifests/latest', 'name-invalid'],
  ['NUL', '/v2/a%00b/tags/list', 'reference-invalid'],
  ['a line end', '/v2/a%0Ab/tags/list', 'reference-invalid'],
  ['bytes that are not UTF-8', '/v2/a%ff/tags/list', 'name-invalid'],
  ['a cut escape', '/v2/a%2/tags/list', 'name-invalid'],
  ['256 characters', `/v2/${'a'.repeat(256)}/tags/list`, 'reference-invalid'],
  ['a short digest', '/v2/app/blobs/sha256:abc', 'digest-invalid'],
  ['an unknown algorithm', `/v2/app/blobs/md5:${'a'.repeat(32)}`, 'digest-invalid'],
  ['a digest in capitals', `/v2/app/blobs/sha256:${'A'.repeat(64)}`, 'digest-invalid'],
  ['a bad digest as reference', '/v2/app/manifests/sha256:bad', 'digest-invalid'],
  ['a bad digest of referrers', '/v2/app/referrers/latest', 'digest-invalid'],
  ['a path as upload', '/v2/app/blobs/uploads/..%2f..%2fetc', 'upload-unknown'],
  ['a long upload', `/v2/app/blobs/uploads/${'a'.repeat(129)}`, 'upload-unknown'],
]

describe('parseTarget()', () => {
  for (const [path, target] of TARGETS) {
    it(`reads ${path.slice(0, 80)}`, () => assert.deepEqual(parseTarget(path), target))
  }

  it('takes names of up to 255 characters', () => {
    const name = `${'a'.repeat(127)}/${'b'.repeat(127)}`
    assert.deepEqual(parseTarget(`/v2/${name}/tags/list`), { kind: 'tags', name })
  })

  for (const [what, path, code] of REFUSED) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => parseTarget(path),
        error => error instanceof CodedError && error.code === code,
      )
    })
  }

  it('keeps messages short', () => {
    assert.throws(
      () => parseTarget(`/v2/${'x'.repeat(10_000)}/y/z`),
      (error: Error) => error.message.length < 500,
    )
  })

  it('reads hostile paths in linear time', () => {
    const path = `/v2/${'a-'.repeat(4000)}/tags/list`
    const hyphens = `/v2/${'a'.repeat(100)}${'-'.repeat(8000)}/tags/list`
    for (const hostile of [path, hyphens, `/v2/${'/'.repeat(8000)}`, `/v2/${'a/'.repeat(4000)}tags/list`])
      assert.throws(() => parseTarget(hostile), CodedError)
  })
})
