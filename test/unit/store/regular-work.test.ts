import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { workRegularly } from '../../../src/store/regular-work.ts'
import { HOUR_MS, temporaryStore } from './support.ts'

describe('workRegularly()', () => {
  it('lets one process at a time do each kind of work, and counts a run for all of them', async t => {
    const { store, clock, reopen } = await temporaryStore(t)
    const other = await reopen()
    const stop = new AbortController()
    const runs: string[] = []
    const running = Promise.withResolvers<void>()
    const going = Promise.withResolvers<void>()
    const collected = Promise.withResolvers<void>()
    const work = (name: string, kind: 'retention' | 'garbage-collection') => ({
      kind,
      everyMs: HOUR_MS,
      now: clock.now,
      async run() {
        runs.push(`${name} ${kind}`)
        running.resolve()
        await going.promise
      },
      onDone: () => void (kind === 'garbage-collection' && collected.resolve()),
      onFailed: (error: unknown) => assert.fail(String(error)),
    })
    const all = [workRegularly(store.disk, work('one', 'retention'), stop.signal)]
    await running.promise
    all.push(workRegularly(other.disk, work('two', 'retention'), stop.signal))
    all.push(workRegularly(other.disk, work('two', 'garbage-collection'), stop.signal))
    going.resolve()
    await collected.promise
    stop.abort()
    await Promise.all(all)
    assert.deepEqual(runs, ['one retention', 'two garbage-collection'])
  })

  it('tells of a failure and lets the lock go', async t => {
    const { store, clock } = await temporaryStore(t)
    const stop = new AbortController()
    const failed = Promise.withResolvers<unknown>()
    const work = {
      kind: 'retention',
      everyMs: HOUR_MS,
      now: clock.now,
      run: () => Promise.reject(new Error('no room')),
      onDone: () => undefined,
      onFailed: failed.resolve,
    } as const
    const running = workRegularly(store.disk, work, stop.signal)
    assert.match(String(await failed.promise), /no room/)
    stop.abort()
    await running
    assert.ok(store.disk.locks.take('retention' as Parameters<typeof store.disk.locks.take>[0]))
  })
})
