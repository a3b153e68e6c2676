import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database } from './database.ts'

export interface StoreSize {
  readonly blobs: number
  /** Of blobs, each counted once. */
  readonly bytes: number
  /** Begun and not ended. */
  readonly uploads: number
}

const WINDOW = 4000

/** Adds up the table of blobs a window at a time, so that no request waits for longer than a few milliseconds. */
export async function measureStore(database: Database): Promise<StoreSize> {
  let blobs = 0
  let bytes = 0
  for (let after: string | null = ''; after !== null; ) {
    const window: WindowRow | undefined = database.one<WindowRow>(SUM_WINDOW, after, WINDOW)
    blobs += window?.blobs ?? 0
    bytes += window?.bytes ?? 0
    after = window?.last ?? null
    await nextTurn()
  }
  const uploads = database.one<{ count: number }>('SELECT count(*) AS count FROM uploads')?.count ?? 0
  return { blobs, bytes, uploads }
}

interface WindowRow {
  readonly blobs: number
  readonly bytes: number | null
  /** Null for a window without rows. */
  readonly last: string | null
}

const SUM_WINDOW = `
  SELECT count(*) AS blobs, sum(size) AS bytes, max(digest) AS last
  FROM (SELECT digest, size FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?)`
