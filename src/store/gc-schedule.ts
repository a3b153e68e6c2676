import { type CollectableStore, collectGarbage, type GarbageReport } from './gc.ts'
import { workRegularly } from './regular-work.ts'

export interface CollectionSchedule {
  /** From the end of one run to the start of the next. */
  readonly everyMs: number
  /** What was touched within it stays. */
  readonly graceMs: number
  readonly now: () => number
  readonly onCollected: (report: GarbageReport) => void
  readonly onFailed: (error: unknown) => void
}

/** Garbage collection that runs by itself. Returns when the signal aborts, and a run under way has stopped. */
export function collectRegularly(
  store: CollectableStore,
  { everyMs, graceMs, now, onCollected, onFailed }: CollectionSchedule,
  signal: AbortSignal,
): Promise<void> {
  const run = (): Promise<GarbageReport> =>
    collectGarbage(store, { olderThanMs: graceMs, dryRun: false, now, signal })
  const work = { kind: 'garbage-collection', everyMs, now, run, onDone: onCollected, onFailed } as const
  return workRegularly(store.disk, work, signal)
}
