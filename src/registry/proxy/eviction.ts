import { type EvictReport, evictCached } from '../../store/evict.ts'
import type { PublishDeps } from '../../store/publish.ts'
import type { ProxyLog } from './proxy-log.ts'

export interface EvictionDeps {
  readonly disk: PublishDeps
  readonly hosts: readonly string[]
  readonly maxBytes?: number
  readonly log: ProxyLog
  readonly signal: AbortSignal
}

export interface Eviction {
  /** Something was cached: its size will be looked at, soon. */
  noteStored(): void
  /** Returns when nothing is being removed. */
  settled(): Promise<void>
}

/** Not after every blob: an image has many, and all of the store is looked at. */
const WAIT_MS = 60_000
/** A build that stands on an image, and a client that is half way through one, have so long to come back to it. */
const GRACE_MS = 30 * 60_000

/** Holds what is cached to its size, now and after something was cached; without a size it does nothing. */
export function createEviction({ disk, hosts, maxBytes, log, signal }: EvictionDeps): Eviction {
  let isDue = false
  let running: Promise<void> = Promise.resolve()

  const evict = async (limit: number): Promise<void> => {
    isDue = false
    if (signal.aborted) return
    try {
      const report = await evictCached(disk, { hosts, maxBytes: limit, graceMs: GRACE_MS, signal })
      if (report.images > 0) log.info(describe(report))
    } catch (error) {
      if (!signal.aborted) log.problem('what is cached stays larger than it should be', error)
    }
  }
  const schedule = (ms: number): void => {
    if (maxBytes === undefined || isDue) return
    isDue = true
    const begin = (): void => {
      running = evict(maxBytes)
    }
    setTimeout(begin, ms).unref()
  }

  schedule(0)
  return { noteStored: () => schedule(WAIT_MS), settled: () => running }
}

function describe({ before, freed, images }: EvictReport): string {
  const left = before - freed
  return `removed ${images} cached ${images === 1 ? 'image' : 'images'}, ${freed} bytes, that were not used for the longest; ${left} bytes are cached`
}
