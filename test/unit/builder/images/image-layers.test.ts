import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { createImageLayers } from '../../../../src/builder/images/image-layers.ts'
import type { ResultLayer } from '../../../../src/builder/solve/vertex.ts'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { openStore } from '../../../../src/store/open.ts'
import { collect, layerTar } from '../../store/support.ts'

const context = { signal: new AbortController().signal, status: () => undefined }

describe('imageLayers.readTars()', () => {
  it('reads in order, fetches each layer once, and leaves nothing for require() to read', async t => {
    const { layers, remote, opened, store } = await fixture(t, ['a', 'b', 'a'])
    const read: string[] = []
    await layers.readTars(remote, context, async (_layer, openTar) => {
      read.push(nameIn(await collect(await openTar())))
    })
    assert.deepEqual(read, ['a', 'b', 'a'])
    const records = await layers.require(remote, context)
    assert.deepEqual(
      records.map(({ diffID }) => diffID),
      remote.map(({ diffID }) => diffID),
    )
    assert.equal(opened.length, 2)
    assert.equal(store.layers.toc(records[1] ?? assert.fail()).entries.length, 1)
  })

  it('shares what is fetched with all who want it at once', async t => {
    const { layers, remote, opened } = await fixture(t, ['a', 'b', 'c'])
    const readAll = async (): Promise<readonly string[]> => {
      const read: string[] = []
      await layers.readTars(remote, context, async (_layer, openTar) => {
        read.push(nameIn(await collect(await openTar())))
      })
      return read
    }
    const [first, records, second] = await Promise.all([
      readAll(),
      layers.require(remote, context),
      readAll(),
    ])
    assert.deepEqual([first, second], [remote.map(({ name }) => name), remote.map(({ name }) => name)])
    assert.equal(records.length, 3)
    assert.equal(opened.length, 3)
  })

  it('gets to know a layer whose reader has found that nothing is to be done', async t => {
    const { layers, remote, opened } = await fixture(t, ['a', 'b'])
    await layers.readTars(remote, context, async (layer, openTar) => {
      if (layer === remote[0]) await openTar()
    })
    assert.equal((await layers.require(remote, context)).length, 2)
    assert.equal(opened.length, 2)
  })

  it('stops the downloads when a reader fails, leaves nothing, and can begin again', async t => {
    const { layers, remote, store, hold } = await fixture(t, ['a', 'b', 'c'])
    const release = hold('c')
    const failing = layers.readTars(remote, context, async () => {
      throw new Error('no space left')
    })
    await assert.rejects(failing, /no space left/)
    assert.deepEqual(readdirSync(join(store.root, 'ingest')), [])
    release()
    assert.equal((await layers.require(remote, context)).length, 3)
  })

  it('fails with what is wrong with a layer, before its tar ends', async t => {
    const { layers, remote } = await fixture(t, ['a', 'b'])
    const lying = [remote[0], { ...remote[1], diffID: digestOf('another') }] as ResultLayer[]
    const ended: Digest[] = []
    const reading = layers.readTars(lying, context, async (layer, openTar) => {
      for await (const _ of await openTar());
      ended.push(layer.digest)
    })
    await assert.rejects(reading, { code: 'digest-mismatch' })
    assert.deepEqual(ended, [remote[0]?.digest])
  })
})

/** An image of layers with one file each, in a registry. */
async function fixture(t: TestContext, names: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-layers-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const store = await openStore({ root: join(folder, 'store'), now: () => 1000 })
  t.after(() => store[Symbol.dispose]())
  const layers = createImageLayers(store)
  const blobs = new Map<Digest, Buffer>()
  const held = new Map<Digest, Promise<void>>()
  const opened: Digest[] = []
  const remote: (ResultLayer & { readonly name: string })[] = []
  for (const name of names) {
    const tar = await collect(layerTar(name))
    const digest = digestOf(tar)
    blobs.set(digest, tar)
    remote.push({ name, digest, diffID: digest, size: tar.length, mediaType: MEDIA_TYPE.ociLayer })
  }
  layers.add({
    name: 'host.test/image:1',
    layers: remote,
    open: signal => ({
      async open({ digest }) {
        opened.push(digest)
        const bytes = blobs.get(digest) ?? assert.fail()
        const wait = held.get(digest)
        return Readable.from(
          (async function* () {
            yield bytes.subarray(0, 100)
            if (wait !== undefined)
              await Promise.race([
                wait,
                new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
              ])
            yield bytes.subarray(100)
          })(),
        )
      },
    }),
    onWhole: async () => undefined,
  })
  return {
    store,
    layers,
    remote,
    opened,
    /** Until the function is called that it returns. */
    hold(name: string): () => void {
      const { promise, resolve } = Promise.withResolvers<void>()
      held.set(remote.find(layer => layer.name === name)?.digest ?? assert.fail(), promise)
      return resolve
    },
  }
}

/** The content of the only file. */
function nameIn(tar: Buffer): string {
  return tar.subarray(512, 513).toString()
}
