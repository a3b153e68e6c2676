import { setTimeout as sleep } from 'node:timers/promises'

/** Waits. @throws the signal's reason */
export type Delay = (ms: number, signal: AbortSignal) => Promise<void>

export const realDelay: Delay = async (ms, signal) => {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/** How often a request is sent at most, the first time included. */
export const MAX_ATTEMPTS = 4

/** The pause after the given failure, counted from 1: 250 ms, 500 ms, 1 s. */
export function backoffMs(failures: number): number {
  return 250 * 2 ** (failures - 1)
}
