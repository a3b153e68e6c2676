import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BatchWriter } from '../../../src/store/batch-writer.ts'

const MEBIBYTE = Buffer.alloc(1024 * 1024)

describe('BatchWriter', () => {
  it('makes a large file durable along the way, so that its commit need not', async () => {
    let [written, syncedTo] = [0, 0]
    const file = {
      async write(chunks: readonly Uint8Array[]) {
        for (const chunk of chunks) written += chunk.length
      },
      async sync() {
        syncedTo = written
      },
    }
    const writer = new BatchWriter(file, 0)
    for (let count = 0; count < 100; count++) await writer.add(MEBIBYTE)
    await writer.finish()
    assert.equal(written, 100 * MEBIBYTE.length)
    assert.ok(written - syncedTo <= 20 * MEBIBYTE.length, `${written - syncedTo} bytes are not durable`)
  })

  it('tells of bytes that the disk lost', async () => {
    const lost = new Error('EIO')
    const file = { write: async () => undefined, sync: () => Promise.reject(lost) }
    const writer = new BatchWriter(file, 0)
    const writing = async () => {
      for (let count = 0; count < 100; count++) await writer.add(MEBIBYTE)
      await writer.finish()
    }
    await assert.rejects(writing, lost)
    assert.equal(writer.failed, true)
  })
})
