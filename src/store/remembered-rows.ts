import type { Database } from './database.ts'

/**
 * Answers of the database, as long as nobody has written to it, in whichever process: what this gives is what the
 * database would answer now. Clients ask the same of a registry over and over, and SQLite tells at less cost that
 * nothing has changed than it answers even the shortest question.
 */
export interface RememberedRows {
  /**
   * What `read` answers, or has answered since the last write.
   * @param key one for each question that is asked here; `read` asks nothing else
   */
  get<Row>(key: string, read: () => Row): Row
}

/** Rows of a few hundred bytes: half a megabyte. */
const MAX_ROWS = 1000

export function createRememberedRows(database: Database): RememberedRows {
  const rows = new Map<string, unknown>()
  let version: number | undefined
  return {
    get<Row>(key: string, read: () => Row): Row {
      // A transaction may yet be rolled back, and what it has read with it.
      if (database.isInTransaction) return read()
      // Asked before reading: a write between the two makes what is read here forgotten, not believed.
      const current = database.version()
      if (current !== version || rows.size >= MAX_ROWS) rows.clear()
      version = current
      if (rows.has(key)) return rows.get(key) as Row
      const row = read()
      rows.set(key, row)
      return row
    },
  }
}
