/**
 * Work that a store needs now and then, by itself. Several processes may serve one store: a lock that dies with its
 * process lets one of them do it, and when it last ended is in the database, so that each run counts for all of them.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { IngestID } from '../oci/content.ts'
import type { Database } from './database.ts'
import type { IngestLocks } from './ingest-locks.ts'
import { withReserve } from './reserve.ts'
import type { StoreLayout } from './store-layout.ts'

export interface RegularWork<Report> {
  readonly kind: keyof typeof ROWS
  /** From the end of one run to the start of the next. */
  readonly everyMs: number
  readonly now: () => number
  readonly run: () => Promise<Report>
  readonly onDone: (report: Report) => void
  readonly onFailed: (error: unknown) => void
}

/** Where the time is kept at which each last ended. */
const ROWS = { 'garbage-collection': 1, retention: 2 } as const

export interface SharedDisk {
  readonly database: Database
  readonly layout: StoreLayout
  readonly locks: IngestLocks
}

/** How soon to look again after a failure, or while another process is at it. */
const RETRY_MS = 60_000

/** Returns when the signal aborts, and a run under way has stopped. */
export async function workRegularly<Report>(
  disk: SharedDisk,
  work: RegularWork<Report>,
  signal: AbortSignal,
): Promise<void> {
  let waitMs = 0
  while (!signal.aborted) {
    if (!(await sleep(Math.max(waitMs, dueInMs(disk, work)), signal))) return
    waitMs = (await workInTurn(disk, work, signal)) ? 0 : Math.min(RETRY_MS, work.everyMs)
  }
}

/** False when another process is at it, or has just been, or it failed. */
async function workInTurn<Report>(
  disk: SharedDisk,
  work: RegularWork<Report>,
  signal: AbortSignal,
): Promise<boolean> {
  const { database, layout, locks } = disk
  // No ingest has this name: theirs are random.
  const lock = work.kind as string as IngestID
  try {
    const done = await withReserve(layout, async () => {
      if (!locks.take(lock)) return undefined
      try {
        if (dueInMs(disk, work) > 0) return undefined
        const report = await work.run()
        noteEnd(database, work)
        return { report }
      } finally {
        locks.free(lock)
      }
    })
    if (done !== undefined) work.onDone(done.report)
    return done !== undefined
  } catch (error) {
    if (!signal.aborted) work.onFailed(error)
    return false
  }
}

type Schedule = Pick<RegularWork<never>, 'kind' | 'everyMs' | 'now'>

function dueInMs({ database }: SharedDisk, { kind, everyMs, now }: Schedule): number {
  const last = database.one<{ at: number }>(
    'SELECT ended_at AS at FROM collections WHERE id = ?',
    ROWS[kind],
  )?.at
  // A clock that was set back must not put it off for ever.
  return last === undefined || last > now() ? 0 : Math.max(0, last + everyMs - now())
}

function noteEnd(database: Database, { kind, now }: Schedule): void {
  database.write(
    () =>
      database.run(
        'INSERT INTO collections (id, ended_at) VALUES (?, ?) ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at',
        ROWS[kind],
        now(),
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
