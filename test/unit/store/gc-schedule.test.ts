import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { GarbageReport } from '../../../src/store/gc.ts'
import { collectRegularly } from '../../../src/store/gc-schedule.ts'
import type { DiskStore } from '../../../src/store/open.ts'
import { type Clock, HOUR_MS, putContent, temporaryStore } from './support.ts'

/** Runs a schedule until the first report, or until nothing has happened for a while. */
async function firstReport(
  store: DiskStore,
  clock: Clock,
  waitMs = 10_000,
): Promise<GarbageReport | undefined> {
  const stop = new AbortController()
  let report: GarbageReport | undefined
  const schedule = {
    everyMs: HOUR_MS,
    graceMs: HOUR_MS,
    now: clock.now,
    onCollected(collected: GarbageReport) {
      report = collected
      stop.abort()
    },
    onFailed: (error: unknown) => assert.fail(String(error)),
  }
  const running = collectRegularly(store, schedule, stop.signal)
  await Promise.race([running, delay(waitMs, undefined, { ref: false })])
  stop.abort()
  await running
  return report
}

function ignore(): void {
  return
}

describe('collectRegularly()', () => {
  it('collects when a run is due, for all processes of the store', async t => {
    const { store, clock, reopen } = await temporaryStore(t)
    const other = await reopen()
    await putContent(store.content, 'garbage')
    clock.pass(2 * HOUR_MS)
    assert.equal((await firstReport(store, clock))?.digests.length, 1)
    assert.equal(await firstReport(other, clock, 50), undefined)
    clock.pass(2 * HOUR_MS)
    assert.deepEqual((await firstReport(other, clock))?.digests, [])
  })

  it('leaves it to the process that is collecting already', async t => {
    const { store, clock, reopen } = await temporaryStore(t)
    const other = await reopen()
    const lock = 'garbage-collection' as Parameters<typeof other.disk.locks.take>[0]
    assert.ok(other.disk.locks.take(lock))
    assert.equal(await firstReport(store, clock, 50), undefined)
    other.disk.locks.free(lock)
    assert.ok(await firstReport(store, clock))
  })

  it('ends at once when it is told to, also between runs', async t => {
    const { store, clock } = await temporaryStore(t)
    await firstReport(store, clock)
    const schedule = { everyMs: HOUR_MS, graceMs: 0, now: clock.now, onCollected: ignore, onFailed: ignore }
    const stop = new AbortController()
    const running = collectRegularly(store, schedule, stop.signal)
    stop.abort()
    await running
  })
})
