/**
 * How often somebody may do something. Each key has a bucket that fills steadily up to a minute's worth; who finds
 * it empty waits. There are never more than `MAX_KEYS`, and those that rest are forgotten first: a flood from
 * many addresses makes us forgetful, not large. Counted per process.
 */
export interface RateLimit {
  /** Takes one. Undefined when it could, else the seconds to wait (at least 1). */
  take(key: string): number | undefined
  /** Undoes a `take`. */
  giveBack(key: string): void
}

interface Bucket {
  readonly left: number
  readonly at: number
}

const MAX_KEYS = 10_000
const MINUTE_MS = 60_000

/** @param perMinute 0: no limit. @param now milliseconds since the epoch */
export function createRateLimit(perMinute: number, now: () => number): RateLimit {
  const buckets = new Map<string, Bucket>()
  const leftIn = (key: string): number => {
    const bucket = buckets.get(key)
    if (bucket === undefined) return perMinute
    // A clock that was set back must not lock anybody out.
    const passed = Math.max(0, now() - bucket.at)
    return Math.min(perMinute, bucket.left + (passed * perMinute) / MINUTE_MS)
  }
  const waitFor = (left: number): number | undefined =>
    left >= 1 ? undefined : Math.max(1, Math.ceil(((1 - left) * MINUTE_MS) / perMinute / 1000))
  return {
    take(key) {
      if (perMinute === 0) return undefined
      const left = leftIn(key)
      const seconds = waitFor(left)
      if (seconds !== undefined) return seconds
      // The map's order is that of the last take, so the first is the one that has rested longest.
      buckets.delete(key)
      buckets.set(key, { left: left - 1, at: now() })
      const oldest = buckets.size > MAX_KEYS ? buckets.keys().next().value : undefined
      if (oldest !== undefined) buckets.delete(oldest)
      return undefined
    },
    giveBack(key) {
      if (buckets.has(key)) buckets.set(key, { left: Math.min(perMinute, leftIn(key) + 1), at: now() })
    },
  }
}
