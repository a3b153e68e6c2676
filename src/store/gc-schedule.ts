/**
 * Garbage collection that runs by itself. Several processes may serve one store: a lock that dies with its process lets
 * one of them collect, and when it last ended is in the database, so that each run counts for all of them.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { IngestID } from '../oci/content.ts'
import type { Database } from './database.ts'
import { type CollectableStore, collectGarbage, type GarbageReport } from './gc.ts'
import { withReserve } from './reserve.ts'

export interface CollectionSchedule {
  /** From the end of one run to the start of the next. */
  readonly everyMs: number
  /** What was touched within it stays. */
  readonly graceMs: number
  readonly now: () => number
  readonly onCollected: (report: GarbageReport) => void
  readonly onFailed: (error: unknown) => void
}

/** How soon to look again after a failure, or while another process collects. */
const RETRY_MS = 60_000

/** No ingest has this name: theirs are random. */
const LOCK = 'garbage-collection' as IngestID

/** Returns when the signal aborts, and a run under way has stopped. */
export async function collectRegularly(
  store: CollectableStore,
  schedule: CollectionSchedule,
  signal: AbortSignal,
): Promise<void> {
  let waitMs = 0
  while (!signal.aborted) {
    if (!(await sleep(Math.max(waitMs, dueInMs(store, schedule)), signal))) return
    waitMs = (await collectInTurn(store, schedule, signal)) ? 0 : Math.min(RETRY_MS, schedule.everyMs)
  }
}

/** False when another process is collecting, or has just done so, or it failed. */
async function collectInTurn(
  store: CollectableStore,
  schedule: CollectionSchedule,
  signal: AbortSignal,
): Promise<boolean> {
  const { database, layout, locks } = store.disk
  try {
    const report = await withReserve(layout, async () => {
      if (!locks.take(LOCK)) return undefined
      try {
        if (dueInMs(store, schedule) > 0) return undefined
        const options = { olderThanMs: schedule.graceMs, dryRun: false, now: schedule.now, signal }
        const collected = await collectGarbage(store, options)
        noteCollection(database, schedule.now())
        return collected
      } finally {
        locks.free(LOCK)
      }
    })
    if (report !== undefined) schedule.onCollected(report)
    return report !== undefined
  } catch (error) {
    if (!signal.aborted) schedule.onFailed(error)
    return false
  }
}

function dueInMs({ disk }: CollectableStore, { everyMs, now }: CollectionSchedule): number {
  const last = disk.database.one<{ at: number }>('SELECT ended_at AS at FROM collections')?.at
  // A clock that was set back must not put it off for ever.
  return last === undefined || last > now() ? 0 : Math.max(0, last + everyMs - now())
}

function noteCollection(database: Database, now: number): void {
  database.write(
    () =>
      database.run(
        'INSERT INTO collections (id, ended_at) VALUES (1, ?) ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at',
        now,
      ),
    'relaxed',
  )
}

/** Timers take no longer delays. */
const MAX_DELAY_MS = 2 ** 31 - 1

/** False when the signal ended it. */
async function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(Math.min(ms, MAX_DELAY_MS), undefined, { signal, ref: false })
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}
