import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import test from 'node:test'
import { chunksOf, freed, freedBuffers, pushChunksOf } from '../../../src/oci/chunks.ts'

const nothing = (): void => undefined

test('chunksOf() gives the chunks themselves, however many wait', async () => {
  const sent = ['one', 'two', 'three'].map(text => Buffer.from(text))
  const body = new PassThrough()
  for (const chunk of sent) body.write(chunk)
  body.end()
  await once(body, 'readable')
  const got = await Array.fromAsync(chunksOf(body))
  assert.deepEqual(got.map(String), ['one', 'two', 'three'])
  assert.ok(got.every((chunk, index) => chunk === sent[index]))
})

test('chunksOf() takes no more from the stream than is asked for', async () => {
  let made = 0
  const body = new Readable({
    highWaterMark: 1,
    read() {
      made++
      this.push(Buffer.from('x'))
    },
  })
  const chunks = chunksOf(body)
  await chunks.next()
  await new Promise(setImmediate)
  assert.ok(made <= 3, `${made} chunks were made for one that was asked for`)
  body.destroy()
})

test('chunksOf() leaves the stream open, and the rest in it, for a reader that stops', async () => {
  const body = Readable.from([Buffer.from('one'), Buffer.from('two'), Buffer.from('three')], {
    objectMode: true,
  })
  for await (const chunk of chunksOf(body)) if (String(chunk) === 'one') break
  assert.equal(body.destroyed, false)
  assert.equal(body.listenerCount('data'), 0)
  assert.deepEqual((await Array.fromAsync(chunksOf(body))).map(String), ['two', 'three'])
})

test('chunksOf() of a stream that has ended, or is empty, is empty', async () => {
  const ended = Readable.from([])
  ended.resume()
  await once(ended, 'end')
  assert.deepEqual(await Array.fromAsync(chunksOf(ended)), [])
  assert.deepEqual(await Array.fromAsync(chunksOf(Readable.from([]))), [])
})

test('chunksOf() gives what came before the stream failed, then its error', async () => {
  const body = new PassThrough()
  const chunks = chunksOf(body)
  body.write('one')
  assert.equal(String((await chunks.next()).value), 'one')
  const next = chunks.next()
  body.destroy(new Error('the wire was cut'))
  await assert.rejects(next, /the wire was cut/)
})

for (const [name, end] of [
  ['closed before its end', (body: PassThrough) => body.destroy()],
  [
    'failed before anybody read',
    (body: PassThrough) => body.once('error', nothing).destroy(new Error('cut')),
  ],
] as const) {
  test(`chunksOf() rejects a stream that was ${name}`, async () => {
    const body = new PassThrough()
    body.write('one')
    end(body)
    await new Promise(resolve => body.once('close', resolve))
    await assert.rejects(Array.fromAsync(chunksOf(body)), /Premature close|cut/)
  })
}

test('freed() gives a chunk back when the next one is asked for, and leaves alone what shares its memory', async () => {
  const own = Buffer.allocUnsafeSlow(3).fill('a')
  const shared = Buffer.from('bcd').subarray(1)
  const lengths: number[] = []
  for await (const chunk of freed(Readable.from([own, shared], { objectMode: true })))
    lengths.push(chunk.length)
  assert.deepEqual(lengths, [3, 2])
  assert.equal(own.length, 0)
  assert.equal(String(shared), 'cd')
})

test('freedBuffers() gives a buffer back when a chunk of another has come, and never one of Node', async () => {
  const [first, second] = [Buffer.alloc(200_000, 'a'), Buffer.alloc(200_000, 'b')]
  const [shared, last] = [Buffer.allocUnsafe(100).fill('c'), Buffer.alloc(200_000, 'd')]
  const chunks = [first.subarray(0, 150_000), first.subarray(150_000), second, shared, last]
  const seen: string[] = []
  for await (const chunk of freedBuffers(Readable.from(chunks))) {
    seen.push(`${chunk.length} ${String.fromCharCode(chunk[0] ?? 0)} ${first.buffer.byteLength > 0}`)
  }
  assert.deepEqual(seen, ['150000 a true', '50000 a true', '200000 b false', '100 c false', '200000 d false'])
  assert.equal(second.length, 0)
  assert.equal(String(shared), 'c'.repeat(100))
  assert.equal(last.length, 200_000)
})

const NEVER = new AbortController().signal

test('pushChunksOf() hands over the chunks in order, and gives back the memory of each that is done with', async () => {
  const sent = ['one', 'two', 'three'].map(text => Buffer.from(new TextEncoder().encode(text).buffer))
  const got: string[] = []
  const take = (chunk: Uint8Array) => {
    got.push(String(chunk))
    return got.length === 2 ? Promise.resolve() : undefined
  }
  await pushChunksOf(Readable.from(sent), take, NEVER)
  assert.deepEqual(got, ['one', 'two', 'three'])
  assert.deepEqual(
    sent.map(({ byteLength }) => byteLength),
    [0, 0, 0],
  )
})

test('pushChunksOf() of a stream that has ended, or is empty, is empty', async () => {
  const ended = Readable.from([])
  ended.resume()
  await once(ended, 'end')
  for (const stream of [ended, Readable.from([])])
    await pushChunksOf(stream, () => assert.fail('there is nothing to take'), NEVER)
})

test('pushChunksOf() takes nothing from the stream while a chunk is being taken', async () => {
  let made = 0
  const body = new Readable({
    highWaterMark: 1,
    read() {
      made++
      this.push(Buffer.from('x'))
    },
  })
  const taken = Promise.withResolvers<void>()
  const end = new AbortController()
  const pushing = pushChunksOf(body, () => taken.promise, end.signal)
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  assert.ok(made <= 3, `${made} chunks were made for one that is being taken`)
  const reason = new Error('the client is gone')
  end.abort(reason)
  let isSettled = false
  pushing
    .catch(() => undefined)
    .finally(() => {
      isSettled = true
    })
  await new Promise(setImmediate)
  assert.equal(isSettled, false, 'what takes a chunk is at work on it still')
  taken.resolve()
  await assert.rejects(pushing, reason)
  assert.equal(body.listenerCount('data'), 0)
})

test('pushChunksOf() of a silent stream ends at once when the signal aborts', async () => {
  const reason = new Error('the client is gone')
  const end = new AbortController()
  const pushing = pushChunksOf(new PassThrough(), () => undefined, end.signal)
  end.abort(reason)
  await assert.rejects(pushing, reason)
  await assert.rejects(
    pushChunksOf(new PassThrough(), () => undefined, AbortSignal.abort(reason)),
    reason,
  )
})

test('pushChunksOf() leaves the stream open, and the rest in it, when a chunk is refused', async () => {
  const refusal = new Error('too long')
  const refusals = [
    () => {
      throw refusal
    },
    () => Promise.reject(refusal),
  ]
  for (const refuse of refusals) {
    const body = Readable.from([Buffer.from('one'), Buffer.from('two')], { objectMode: true })
    await assert.rejects(pushChunksOf(body, refuse, NEVER), refusal)
    assert.equal(body.destroyed, false)
    assert.equal(body.listenerCount('data'), 0)
    assert.deepEqual((await Array.fromAsync(chunksOf(body))).map(String), ['two'])
  }
})

test('pushChunksOf() throws what the stream failed with, or that it was cut', async () => {
  const body = new PassThrough()
  const pushing = pushChunksOf(body, () => undefined, NEVER)
  body.write('one')
  body.destroy(new Error('the wire was cut'))
  await assert.rejects(pushing, /the wire was cut/)
  const closed = new PassThrough()
  const waiting = pushChunksOf(closed, () => undefined, NEVER)
  closed.destroy()
  await assert.rejects(waiting, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
})
