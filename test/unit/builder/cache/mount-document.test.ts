import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cacheDocumentBytes, parseCacheDocument } from '../../../../src/builder/cache/cache-document.ts'
import { type DocumentedMount, readMounts } from '../../../../src/builder/cache/mount-document.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'

const MOUNT: DocumentedMount = {
  key: digestOf('key'),
  id: '/root/.cache',
  mode: 0o1777,
  uid: 7,
  gid: 8,
  layer: { mediaType: MEDIA_TYPE.ociLayerGzip, digest: digestOf('a'), size: 3, diffID: digestOf('b') },
}

describe('readMounts()', () => {
  it('reads what is written, and nothing where there is none', () => {
    const bytes = cacheDocumentBytes([], [MOUNT])
    assert.deepEqual(readMounts(JSON.parse(bytes.toString())), [MOUNT])
    assert.deepEqual(parseCacheDocument(bytes), [])
    assert.deepEqual(readMounts(JSON.parse(cacheDocumentBytes([]).toString())), [])
  })

  const { layer } = MOUNT
  const broken: readonly (readonly [name: string, mount: unknown])[] = [
    ['no object', 'x'],
    ['no digest as its key', { ...MOUNT, key: '../../etc' }],
    ['no id', { ...MOUNT, id: 1 }],
    ['an endless id', { ...MOUNT, id: 'x'.repeat(10_000) }],
    ['a mode that is none', { ...MOUNT, mode: 0o10000 }],
    ['an owner that is none', { ...MOUNT, uid: -1 }],
    ['an owner that means nobody', { ...MOUNT, gid: 0xffff_ffff }],
    ['a mode in words', { ...MOUNT, mode: '755' }],
    ['no layer', { ...MOUNT, layer: 0 }],
    ['a layer that is no layer', { ...MOUNT, layer: { ...layer, mediaType: 'text/html' } }],
    ['a layer without a size', { ...MOUNT, layer: { ...layer, size: -1 } }],
    ['a layer without digests', { ...MOUNT, layer: { ...layer, diffID: 'x' } }],
  ]
  for (const [name, mount] of broken) {
    it(`refuses a mount with ${name}`, () =>
      assert.throws(() => readMounts({ mounts: [MOUNT, mount] }), {
        code: 'config-invalid',
        message: /mount 1/,
      }))
  }

  it('refuses more than any build has', () =>
    assert.throws(() => readMounts({ mounts: Array.from({ length: 1001 }, () => MOUNT) }), {
      code: 'config-invalid',
    }))
})
