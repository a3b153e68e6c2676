import type { ProxyLog } from './proxy-log.ts'

export interface OutageLog {
  /** Tells, once a minute for each registry, that clients get what is cached. */
  note(host: string, error: unknown): void
}

const QUIET_MS = 60_000

export function createOutageLog(log: ProxyLog, now: () => number): OutageLog {
  const toldAt = new Map<string, number>()
  return {
    note(host, error) {
      if (now() - (toldAt.get(host) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return
      toldAt.set(host, now())
      log.problem(`what is cached of ${host} is served`, error)
    },
  }
}
