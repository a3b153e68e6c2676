import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeflateThreads } from '../../../src/store/deflate-threads.ts'

test('a thread that fails takes only its own work with it', async () => {
  const threads = createDeflateThreads(1)
  const input = Buffer.from(new SharedArrayBuffer(1000))
  const job = { input, before: 0, size: 1000, output: Buffer.from(new SharedArrayBuffer(2000)) }
  const small = { ...job, output: Buffer.from(new SharedArrayBuffer(10)) }
  const outcomes = await Promise.allSettled([
    threads.deflate(job),
    threads.deflate(small),
    threads.deflate(job),
  ])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
})
