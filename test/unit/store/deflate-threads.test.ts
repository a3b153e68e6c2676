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

test('where no thread can be started, the work is done without', async () => {
  const threads = createDeflateThreads(2, () => {
    throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
  })
  const input = Buffer.from(new SharedArrayBuffer(1000))
  const jobOf = () => ({ input, before: 0, size: 1000, output: Buffer.from(new SharedArrayBuffer(2000)) })
  const expected = threads.deflateHere(jobOf())
  const lengths = await Promise.all([1, 2, 3, 4].map(() => threads.deflate(jobOf())))
  assert.deepEqual(lengths, [expected, expected, expected, expected])
})

test('whatever else keeps a thread from being started is told to who wants work done', async () => {
  const threads = createDeflateThreads(2, () => {
    throw new Error('no such luck')
  })
  const input = Buffer.from(new SharedArrayBuffer(1000))
  const job = { input, before: 0, size: 1000, output: Buffer.from(new SharedArrayBuffer(2000)) }
  await assert.rejects(threads.deflate(job), /no such luck/)
})
