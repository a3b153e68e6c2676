import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { storeLayer, tellingSize } from '../../../../src/builder/ops/store-layer.ts'
import { MemoryLayers } from './fixture.ts'

const MIB = 1024 * 1024

async function told(mebibytes: number): Promise<readonly string[]> {
  const chunks = Array.from({ length: mebibytes }, () => Buffer.alloc(MIB))
  const statuses: string[] = []
  let size = 0
  for await (const chunk of tellingSize(chunksOf(chunks), 'writing layer', text => void statuses.push(text)))
    size += chunk.length
  assert.equal(size, mebibytes * MIB, 'all of it passes')
  return statuses
}

async function* chunksOf(chunks: readonly Buffer[]) {
  yield* chunks
}

describe('tellingSize()', () => {
  it('says nothing of what is soon done', async () => {
    assert.deepEqual(await told(15), [])
  })

  it('says how far it is, the rarer the longer it takes', async () => {
    assert.deepEqual(await told(60), [
      'writing layer 16.8 MB',
      'writing layer 25.2 MB',
      'writing layer 37.7 MB',
      'writing layer 56.6 MB',
    ])
  })
})

describe('storeLayer()', () => {
  it('tells the step how much is written', async () => {
    const statuses: string[] = []
    const context = {
      signal: new AbortController().signal,
      status: (text: string) => void statuses.push(text),
    }
    const chunks = chunksOf([...Array(20)].map(() => Buffer.alloc(MIB)))
    await storeLayer(chunks, { layers: new MemoryLayers(), compression: 'none', limits: {} }, context)
    assert.deepEqual(statuses, ['writing layer 16.8 MB'])
  })

  it('ends a layer that is larger than it may be, and keeps nothing of it', async () => {
    const context = { signal: new AbortController().signal, status: () => undefined }
    const store = (layerBytes: number) => {
      const deps = { layers: new MemoryLayers(), compression: 'none', limits: { layerBytes } } as const
      return storeLayer(chunksOf([...Array(3)].map(() => Buffer.alloc(MIB))), deps, context)
    }
    assert.equal((await store(3 * MIB)).size, 3 * MIB)
    await assert.rejects(store(3 * MIB - 1), {
      code: 'layer-too-large',
      message: 'Cannot keep layer: it is larger than the 3 MiB that --max-layer-size allows',
    })
  })
})
