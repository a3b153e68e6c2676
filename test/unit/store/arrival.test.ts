import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import type { ReceivedLayer } from '../../../src/store/layers.ts'
import type { DiskStore } from '../../../src/store/open.ts'
import {
  chunked,
  collect,
  filesOnDisk,
  layerTar,
  NO_SIGNAL,
  noise,
  rejectsWith,
  temporaryStore,
} from './support.ts'

const TAR = await collect(layerTar(noise(3_000_000).toString('latin1')))
const BLOB = gzipSync(TAR)

describe('layers.receive()', () => {
  it('gives the tar while the blob is still on its way, and ends when it is stored and known', async t => {
    const { store, root } = await temporaryStore(t)
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const source = async function* () {
      yield* chunked(BLOB.subarray(0, 2_000_000))
      await released
      yield* chunked(BLOB.subarray(2_000_000))
    }
    const { tar, stored } = await receive(store, { source: source() })
    const chunks: Buffer[] = []
    for await (const chunk of tar) {
      release()
      chunks.push(Buffer.from(chunk))
    }
    assert.ok(Buffer.concat(chunks).equals(TAR))
    assert.equal(store.metadata.getLayer(digestOf(BLOB))?.diffID, digestOf(TAR))
    assert.deepEqual(filesOnDisk(root), { blobs: [digestOf(BLOB).slice(7)], ingests: [] })
    await stored
  })

  it('stores without a reader, with a late one, and with one that leaves', async t => {
    const { store } = await temporaryStore(t)
    const late = await receive(store)
    await late.stored
    assert.ok((await collect(late.tar)).equals(TAR))
    const leaving = await receive(store)
    for await (const _ of leaving.tar) break
    await leaving.stored
    const unread = await receive(store)
    await unread.close()
    await unread.stored
  })

  it('tells of a wrong digest before anything else, keeps nothing, and ends no tar', async t => {
    const { store, root } = await temporaryStore(t)
    const others = [gzipSync(noise(500_000)), Buffer.from('no layer at all'), BLOB.subarray(0, -1), noise(9)]
    for (const bytes of others) {
      const received = await receive(store, { source: chunked(bytes), size: bytes.length })
      const { isWhole, error } = await read(received)
      assert.ok(!isWhole)
      assert.ok(rejectsWith('digest-mismatch')(error))
      await assert.rejects(received.stored, rejectsWith('digest-mismatch'))
    }
    assert.equal(store.metadata.getLayer(digestOf(BLOB)), undefined)
    assert.deepEqual(filesOnDisk(root), { blobs: [], ingests: [] })
  })

  it('takes no more than was promised of a source that goes on', async t => {
    const { store, root } = await temporaryStore(t)
    const gone = { bytes: 0 }
    const endless = async function* () {
      for (; gone.bytes < 10 * BLOB.length; gone.bytes += BLOB.length) yield BLOB
    }
    const received = await receive(store, { source: endless() })
    assert.ok(rejectsWith('size-mismatch')((await read(received)).error))
    await assert.rejects(received.stored, rejectsWith('size-mismatch'))
    assert.equal(gone.bytes, BLOB.length)
    assert.deepEqual(filesOnDisk(root), { blobs: [], ingests: [] })
  })

  it('stores the right bytes of a layer with a wrong diffID, but does not know it as one', async t => {
    const { store, root } = await temporaryStore(t)
    const received = await receive(store, { diffID: digestOf('another tar') })
    assert.ok(rejectsWith('digest-mismatch')((await read(received)).error))
    await received.stored
    assert.equal(store.metadata.getLayer(digestOf(BLOB)), undefined)
    assert.equal(filesOnDisk(root).blobs.length, 1)
  })

  it('gives the reader the failure of the source, or of its signal', async t => {
    const { store, root } = await temporaryStore(t)
    const failing = async function* () {
      yield* chunked(BLOB.subarray(0, 1_000_000))
      throw new Error('the registry went away')
    }
    const broken = await receive(store, { source: failing() })
    assert.match(String((await read(broken)).error), /went away/)
    const stop = new AbortController()
    const endless = async function* () {
      yield* chunked(BLOB.subarray(0, 1_000_000))
      stop.abort(new Error('stop'))
      await new Promise(() => undefined)
    }
    const stopped = await receive(store, { source: endless(), signal: stop.signal })
    assert.match(String((await read(stopped)).error), /stop/)
    await Promise.allSettled([broken.stored, stopped.stored])
    assert.deepEqual(filesOnDisk(root), { blobs: [], ingests: [] })
  })

  it('may be done twice at once', async t => {
    const { store, root, reopen } = await temporaryStore(t)
    const both = await Promise.all([receive(store), receive(await reopen())])
    for (const tar of await Promise.all(both.map(({ tar }) => collect(tar)))) assert.ok(tar.equals(TAR))
    assert.deepEqual(filesOnDisk(root).ingests, [])
  })
})

describe('layers.openUnread()', () => {
  it('gives the tar, and the layer is known when it ends', async t => {
    const { store } = await unreadLayer(t)
    const layer = { digest: digestOf(BLOB), size: BLOB.length, mediaType: MEDIA_TYPE.ociLayerGzip }
    const left = await store.layers.openUnread(layer, digestOf(TAR))
    for await (const _ of left) break
    assert.equal(store.metadata.getLayer(layer.digest), undefined)
    const tar = await collect(await store.layers.openUnread(layer, digestOf(TAR)))
    assert.ok(tar.equals(TAR))
    assert.equal(store.metadata.getLayer(layer.digest)?.uncompressedSize, TAR.length)
  })
})

async function unreadLayer(t: TestContext) {
  const test = await temporaryStore(t)
  const { stored, close } = await receive(test.store)
  await close()
  await stored
  return test
}

interface Arriving {
  readonly source?: AsyncIterable<Uint8Array>
  readonly size?: number
  readonly diffID?: ReturnType<typeof digestOf>
  readonly signal?: AbortSignal
}

function receive(store: DiskStore, arriving: Arriving = {}): Promise<ReceivedLayer> {
  const { source = chunked(BLOB), size = BLOB.length, diffID = digestOf(TAR), signal = NO_SIGNAL } = arriving
  const layer = { digest: digestOf(BLOB), size, mediaType: MEDIA_TYPE.ociLayerGzip }
  return store.layers.receive(layer, diffID, source, signal)
}

async function read({
  tar,
}: ReceivedLayer): Promise<{ readonly isWhole: boolean; readonly error?: unknown }> {
  try {
    for await (const _ of tar);
    return { isWhole: true }
  } catch (error) {
    return { isWhole: false, error }
  }
}
