import type { Database } from './database.ts'
import { StoreError } from './errors.ts'

/**
 * How late a touch may be recorded: reads write at most this often per row. Garbage collection with less grace
 * than this may take content that somebody has just asked for.
 */
export const TOUCH_INTERVAL_MS = 5 * 60_000

/** True when a row last touched at this time is due to be touched again. */
export function isTouchDue(touchedAt: number, now: number, intervalMs = TOUCH_INTERVAL_MS): boolean {
  return touchedAt <= now - intervalMs
}

/**
 * Writes what may as well not be written: that a row was used, that an ingest is over. The call it belongs to must
 * not fail because this could not be noted, say on a full disk. True when it was written.
 */
export function writeIfPossible(database: Database, action: () => void): boolean {
  try {
    database.write(action, 'relaxed')
    return true
  } catch (error) {
    if (!(error instanceof StoreError && UNABLE.has(error.code))) throw error
    return false
  }
}

const UNABLE: ReadonlySet<string> = new Set(['store-full', 'store-denied', 'store-busy'])
