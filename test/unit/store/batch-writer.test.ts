import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BatchWriter } from '../../../src/store/batch-writer.ts'
import { createBufferPool } from '../../../src/store/buffer-pool.ts'

const POOL = { bufferBytes: 256 * 1024, count: 2 }
const MEBIBYTE = Buffer.alloc(1024 * 1024)

describe('BatchWriter', () => {
  it('makes a large file durable along the way, so that its commit need not', async () => {
    let [written, syncedTo] = [0, 0]
    const file = {
      async write(chunk: Uint8Array) {
        written += chunk.length
      },
      async sync() {
        syncedTo = written
      },
    }
    const writer = new BatchWriter(file, 0, createBufferPool(POOL))
    for (let count = 0; count < 100; count++) await writer.add(MEBIBYTE)
    await writer.finish()
    assert.equal(written, 100 * MEBIBYTE.length)
    assert.ok(written - syncedTo <= 20 * MEBIBYTE.length, `${written - syncedTo} bytes are not durable`)
  })

  it('tells of bytes that the disk lost', async () => {
    const lost = new Error('EIO')
    const file = { write: async () => undefined, sync: () => Promise.reject(lost) }
    const writer = new BatchWriter(file, 0, createBufferPool(POOL))
    const writing = async () => {
      for (let count = 0; count < 100; count++) await writer.add(MEBIBYTE)
      await writer.finish()
    }
    await assert.rejects(writing, lost)
    assert.equal(writer.failed, true)
  })

  it('writes all of it in order with few buffers, with none, and when chunks change after they were added', async () => {
    for (const count of [0, 1, 2]) {
      const pool = createBufferPool({ bufferBytes: 1000, count })
      let [file, writes] = [Buffer.alloc(0), 0]
      const writer = new BatchWriter(
        {
          async write(chunk, position) {
            await nextTurn()
            assert.equal(position, file.length)
            file = Buffer.concat([file, chunk])
            writes++
          },
          sync: async () => undefined,
        },
        0,
        pool,
      )
      const expected: Buffer[] = []
      for (let index = 0; index < 50; index++) {
        const chunk = Buffer.alloc(index * 11, index)
        expected.push(Buffer.from(chunk))
        await writer.add(chunk)
        chunk.fill(0xff)
      }
      await writer.finish()
      assert.deepEqual(file, Buffer.concat(expected))
      assert.ok(count < 2 || writes < 20, `${writes} writes`)
      const back = Array.from({ length: count }, () => pool.take())
      assert.ok(!back.includes(undefined), 'every buffer was given back')
      assert.equal(new Set(back).size, count)
      assert.equal(pool.take(), undefined)
    }
  })

  it('gives its buffers back when the disk fails', async () => {
    const pool = createBufferPool({ bufferBytes: 1000, count: 2 })
    const full = new Error('ENOSPC')
    const file = { write: () => Promise.reject(full), sync: async () => undefined }
    const writer = new BatchWriter(file, 0, pool)
    await assert.rejects(async () => {
      for (let count = 0; count < 9; count++) await writer.add(Buffer.alloc(700))
    }, full)
    await assert.rejects(writer.finish(), full)
    assert.equal(new Set([pool.take(), pool.take()]).size, 2)
    assert.equal(pool.take(), undefined)
  })
})
