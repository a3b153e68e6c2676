import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import test from 'node:test'
import { untilAborted } from '../../../src/store/abortable.ts'

const { signal: never } = new AbortController()

async function* three(): AsyncGenerator<number> {
  yield 1
  yield 2
  yield 3
}

test('untilAborted() gives what its source gives, and leaves no listener behind', async () => {
  assert.deepEqual(await Array.fromAsync(untilAborted(three(), never)), [1, 2, 3])
  assert.equal(getEventListeners(never, 'abort').length, 0)
})

test('untilAborted() listens once, however many chunks come', async () => {
  const counts: number[] = []
  for await (const _ of untilAborted(three(), never)) counts.push(getEventListeners(never, 'abort').length)
  assert.deepEqual(counts, [1, 1, 1])
})

test('untilAborted() throws the reason at once while its source is silent, and leaves the source', async () => {
  const control = new AbortController()
  const silent = new Readable({ read: () => undefined })
  const chunks = untilAborted(silent, control.signal)
  silent.push('one')
  assert.equal(String((await chunks.next()).value), 'one')
  const next = chunks.next()
  control.abort(new Error('the client is gone'))
  await assert.rejects(next, /the client is gone/)
  assert.equal(silent.destroyed, true)
})

test('untilAborted() takes nothing from its source when the signal has aborted before', async () => {
  const chunks = untilAborted(three(), AbortSignal.abort(new Error('too late')))
  await assert.rejects(chunks.next(), /too late/)
})

test('untilAborted() stops between two chunks', async () => {
  const control = new AbortController()
  const chunks = untilAborted(three(), control.signal)
  await chunks.next()
  control.abort(new Error('stop'))
  await assert.rejects(chunks.next(), /stop/)
})

test('untilAborted() passes on the error of its source, and tells it when its reader stops', async () => {
  async function* broken(): AsyncGenerator<number> {
    yield 1
    throw new Error('broken')
  }
  await assert.rejects(Array.fromAsync(untilAborted(broken(), never)), /broken/)
  const source = three()
  for await (const _ of untilAborted(source, never)) break
  assert.deepEqual(await source.next(), { value: undefined, done: true })
})
