import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ImageLayers } from '../../../../src/builder/images/image-layers.ts'
import { createOutputTail } from '../../../../src/builder/ops/output-tail.ts'
import { createUnpack } from '../../../../src/builder/ops/unpack-layers.ts'
import type { Snapshotter } from '../../../../src/builder/snapshot/snapshotter.ts'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { chainID } from '../../../../src/oci/identity.ts'
import type { LayerRecord } from '../../../../src/store/metadata.ts'

const context = { signal: new AbortController().signal, output: () => undefined, status: () => undefined }

describe('createUnpack()', () => {
  it('unpacks lowest first, each level on the one below', async () => {
    const { applied, snapshotter, unpack } = fixture()
    await unpack([layerOf('a'), layerOf('b')], snapshotter, context)
    assert.deepEqual(applied, [
      [chain('a'), undefined],
      [chain('a', 'b'), chain('a')],
    ])
  })

  it('reads nothing of what is unpacked already', async () => {
    const { applied, read, snapshotter, unpack } = fixture(chain('a'), chain('a', 'b'))
    await unpack([layerOf('a'), layerOf('b'), layerOf('c')], snapshotter, context)
    assert.deepEqual(applied, [[chain('a', 'b', 'c'), chain('a', 'b')]])
    assert.deepEqual(read, [layerOf('c').digest])
  })

  it('lets one of several steps do the work that all need', async () => {
    const { applied, snapshotter, unpack } = fixture()
    await Promise.all([
      unpack([layerOf('a'), layerOf('b')], snapshotter, context),
      unpack([layerOf('a'), layerOf('b')], snapshotter, context),
      unpack([layerOf('a'), layerOf('c')], snapshotter, context),
    ])
    assert.deepEqual(applied.map(([name]) => name).toSorted(), [
      ...[chain('a'), chain('a', 'b'), chain('a', 'c')].toSorted(),
    ])
  })

  it('says of a full disk which layer did not fit, and what to do', async () => {
    const { snapshotter, unpack } = fixture()
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    const fullDisk = { ...snapshotter, apply: () => Promise.reject(full) }
    await assert.rejects(unpack([layerOf('a')], fullDisk, context), (error: Error & { hint?: string }) => {
      assert.match(error.message, new RegExp(`^Cannot unpack layer ${layerOf('a').digest}: no space is left`))
      return error.hint?.includes('slipway gc') === true
    })
  })

  it('has nothing to do for scratch', async () => {
    const { applied, snapshotter, unpack } = fixture()
    await unpack([], snapshotter, context)
    assert.deepEqual(applied, [])
  })
})

describe('createOutputTail()', () => {
  const tailOf = (...chunks: readonly string[]): readonly string[] => {
    const tail = createOutputTail()
    for (const chunk of chunks) tail.add(Buffer.from(chunk))
    return tail.lines()
  }

  it('joins lines that came in pieces', () => assert.deepEqual(tailOf('a', 'b\nc', '\n'), ['ab', 'c']))

  it('keeps the last ten lines', () => {
    const lines = Array.from({ length: 30 }, (_, index) => `${index}`)
    assert.deepEqual(tailOf(`${lines.join('\n')}\n`), lines.slice(-10))
  })

  it('keeps a bounded part of endless output without a line end', () => {
    const tail = createOutputTail()
    for (let count = 0; count < 1000; count++) tail.add(Buffer.alloc(10_000, 'x'))
    assert.equal(tail.lines().join('').length, 16 * 1024)
  })

  it('shows what a progress bar showed last', () =>
    assert.deepEqual(tailOf('10%\r50%\r100%\nok\r\n'), ['100%', 'ok']))

  it('is empty when nothing was printed', () => assert.deepEqual(tailOf(), []))
})

function fixture(...unpacked: readonly (Digest | undefined)[]) {
  const names = new Set(unpacked)
  const applied: (readonly [Digest, Digest | undefined])[] = []
  const read: Digest[] = []
  const snapshotter: Snapshotter = {
    has: async name => names.has(name),
    async apply(name, parent, tar) {
      for await (const _ of tar);
      assert.ok(parent === undefined || names.has(parent), 'the level below is there')
      names.add(name)
      applied.push([name, parent])
    },
    view: () => assert.fail('nothing is mounted'),
    prepare: () => assert.fail('nothing is prepared'),
  }
  const layers: Pick<ImageLayers, 'readTars' | 'require'> = {
    async readTars(wanted, _context, readLayer) {
      for (const layer of wanted)
        await readLayer(layer, async () => {
          read.push(layer.digest)
          return (async function* () {
            yield Buffer.alloc(0)
          })()
        })
    },
    require: async () => [],
  }
  return { applied, read, snapshotter, unpack: createUnpack(layers) }
}

function layerOf(name: string): LayerRecord {
  const diffID = digestOf(`tar ${name}`)
  return { digest: digestOf(`blob ${name}`), mediaType: 'layer', size: 1, diffID, uncompressedSize: 1 }
}

function chain(...names: readonly string[]): Digest {
  const name = chainID(names.map(layer => layerOf(layer).diffID))
  assert.ok(name !== undefined)
  return name
}
