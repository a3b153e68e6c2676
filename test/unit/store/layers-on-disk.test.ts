import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Descriptor } from '../../../src/oci/descriptor.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import type { LayerRecord } from '../../../src/store/metadata.ts'
import type { DiskStore } from '../../../src/store/open.ts'
import {
  chunked,
  collect,
  filesOnDisk,
  layerTar,
  NO_SIGNAL,
  noise,
  putContent,
  readLayer,
  rejectsWith,
  temporaryStore,
} from './support.ts'

const CONTENT = noise(3_000_000).toString('latin1')

async function putLayerBlob(store: DiskStore, blob: Buffer, mediaType: string): Promise<Descriptor> {
  return { digest: await putContent(store.content, blob), size: blob.length, mediaType }
}

describe('layers.ingest()', () => {
  for (const compression of ['none', 'gzip', 'zstd'] as const)
    it(`stores a tar as ${compression}, and gives it back`, async t => {
      const { store, reopen } = await temporaryStore(t)
      const tar = await collect(layerTar(CONTENT))
      const layer = await store.layers.ingest(chunked(tar), compression, NO_SIGNAL)
      assert.equal(layer.diffID, digestOf(tar))
      assert.equal(layer.uncompressedSize, tar.length)
      const blob = await collect(await store.content.open(layer.digest))
      assert.equal(digestOf(blob), layer.digest)
      assert.equal(blob.length, layer.size)
      if (compression === 'gzip') assert.ok(gunzipSync(blob).equals(tar))
      const other = await reopen()
      assert.deepEqual(other.metadata.getLayer(layer.digest), layer)
      assert.ok((await collect(await other.layers.openTar(layer))).equals(tar))
      const [entry] = other.layers.toc(layer).entries
      assert.equal(entry?.path, 'file')
      assert.equal(entry?.digest, digestOf(CONTENT))
    })

  it('gives the same bytes for the same tar, however it arrives', async t => {
    const { store } = await temporaryStore(t)
    const tar = await collect(layerTar(CONTENT))
    for (const compression of ['gzip', 'zstd'] as const) {
      const whole = await store.layers.ingest(chunked(tar, tar.length), compression, NO_SIGNAL)
      const pieces = await store.layers.ingest(chunked(tar, 777), compression, NO_SIGNAL)
      assert.deepEqual(pieces, whole)
    }
  })

  it('refuses what is not a whole tar, or whose source fails, and leaves nothing', async t => {
    const { store, root } = await temporaryStore(t)
    const tar = await collect(layerTar(CONTENT))
    const cut = store.layers.ingest(chunked(tar.subarray(0, 100_000)), 'gzip', NO_SIGNAL)
    await assert.rejects(cut, rejectsWith('tar-invalid'))
    await assert.rejects(
      store.layers.ingest(chunked(noise(2048)), 'none', NO_SIGNAL),
      rejectsWith('tar-invalid'),
    )
    const failing = async function* () {
      yield tar.subarray(0, 100_000)
      throw new Error('the context went away')
    }
    await assert.rejects(store.layers.ingest(failing(), 'zstd', NO_SIGNAL), /went away/)
    const aborted = AbortSignal.abort(new Error('stop'))
    await assert.rejects(store.layers.ingest(chunked(tar), 'gzip', aborted), /stop/)
    assert.deepEqual(filesOnDisk(root), { blobs: [], ingests: [] })
  })
})

describe('layers.openUnread()', () => {
  it('reads a layer by what its bytes are, whatever the media type says', async t => {
    const { store } = await temporaryStore(t)
    const tar = await collect(layerTar(CONTENT))
    const blobs = [tar, gzipSync(tar), zstdCompressSync(tar)]
    for (const blob of blobs) {
      const descriptor = await putLayerBlob(store, blob, MEDIA_TYPE.dockerLayerGzip)
      const layer = await readLayer(store, descriptor, digestOf(tar))
      const { digest, size, mediaType } = descriptor
      assert.deepEqual(layer, {
        digest,
        size,
        mediaType,
        diffID: digestOf(tar),
        uncompressedSize: tar.length,
      })
      assert.equal(store.layers.toc(layer).entries.length, 1)
      assert.deepEqual(await readLayer(store, descriptor, digestOf(tar)), layer)
    }
  })

  it('refuses a layer with another diffID, when it is read first and when it is known', async t => {
    const { store } = await temporaryStore(t)
    const tar = await collect(layerTar(CONTENT))
    const descriptor = await putLayerBlob(store, gzipSync(tar), MEDIA_TYPE.ociLayerGzip)
    const wrong = () => readLayer(store, descriptor, digestOf('another tar'))
    await assert.rejects(wrong(), rejectsWith('digest-mismatch'))
    assert.equal(store.metadata.getLayer(descriptor.digest), undefined)
    await readLayer(store, descriptor, digestOf(tar))
    await assert.rejects(wrong(), rejectsWith('digest-mismatch'))
  })

  const noTar = Buffer.from('not a tar, and not compressed either'.repeat(100))
  const hostile: readonly (readonly [string, Buffer, string])[] = [
    ['a truncated gzip', gzipSync(Buffer.alloc(4096)).subarray(0, 20), 'layer-invalid'],
    ['gzip of what is no tar', gzipSync(noTar), 'tar-invalid'],
    ['what is no tar', noTar, 'tar-invalid'],
    ['xz', Buffer.from('\xfd7zXZ\0 and so on', 'latin1'), 'layer-invalid'],
  ]
  for (const [name, blob, code] of hostile)
    it(`refuses ${name}`, async t => {
      const { store } = await temporaryStore(t)
      const descriptor = await putLayerBlob(store, blob, MEDIA_TYPE.ociLayerGzip)
      await assert.rejects(readLayer(store, descriptor, digestOf(noTar)), rejectsWith(code))
      assert.equal(store.metadata.getLayer(descriptor.digest), undefined)
    })

  it('refuses a descriptor whose size is another, and content that is not stored', async t => {
    const { store } = await temporaryStore(t)
    const bytes = gzipSync(await collect(layerTar(CONTENT)))
    const descriptor = await putLayerBlob(store, bytes, MEDIA_TYPE.ociLayerGzip)
    const longer = { ...descriptor, size: descriptor.size + 1 }
    await assert.rejects(readLayer(store, longer, digestOf('x')), rejectsWith('size-mismatch'))
    const absent = { ...descriptor, digest: digestOf('absent') }
    await assert.rejects(readLayer(store, absent, digestOf('x')), rejectsWith('content-missing'))
  })
})

describe('layers.openTar()', () => {
  it('fails at the end of a tar that is another, and early when it does not end', async t => {
    const { store } = await temporaryStore(t)
    const layer = await store.layers.ingest(layerTar(CONTENT), 'gzip', NO_SIGNAL)
    const lies: readonly LayerRecord[] = [
      { ...layer, diffID: digestOf('another tar') },
      { ...layer, uncompressedSize: layer.uncompressedSize - 1 },
    ]
    for (const lie of lies)
      await assert.rejects(
        async () => collect(await store.layers.openTar(lie)),
        rejectsWith('digest-mismatch'),
      )
    const absent = { ...layer, digest: digestOf('absent') }
    await assert.rejects(store.layers.openTar(absent), rejectsWith('content-missing'))
  })

  it('closes its file when the reader stops early', async t => {
    const { store } = await temporaryStore(t)
    const layer = await store.layers.ingest(layerTar(CONTENT), 'none', NO_SIGNAL)
    const source = await store.content.open(layer.digest)
    for await (const _ of source) break
    assert.ok(source.destroyed)
    for await (const _ of await store.layers.openTar(layer)) break
  })
})
