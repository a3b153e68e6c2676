import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import test from 'node:test'
import { chunksOf, freed, freedBuffers } from '../../../src/oci/chunks.ts'

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
