/**
 * One writer per ingest, over all processes. A lock is a row that names its owner's process; the lock of a process
 * that has ended is free for the taking, so nothing has to be cleaned up after a `kill -9`. Taking and freeing are
 * transactions, so two that find the same dead owner cannot both win.
 */
import { randomUUID } from 'node:crypto'
import type { IngestID } from '../oci/content.ts'
import type { Database } from './database.ts'
import { isProcessAlive, ownProcessIdentity } from './process-identity.ts'
import { writeIfPossible } from './touch.ts'

export interface IngestLocks {
  /** False when somebody else, in this process or another, holds it. */
  take(id: IngestID): boolean
  free(id: IngestID): void
  /** True while a living process holds it. */
  isHeld(id: IngestID): boolean
}

export function createIngestLocks(database: Database): IngestLocks {
  // A process may have the store open twice.
  const self = `${ownProcessIdentity()}/${randomUUID()}`
  const held = new Set<IngestID>()
  /** Freed, but a full disk did not take it: their rows go with the next one. */
  const owed = new Set<IngestID>()

  const isHeld = (id: IngestID): boolean => {
    if (held.has(id)) return true
    const row = database.one<{ owner: string }>('SELECT owner FROM ingest_locks WHERE id = ?', id)
    return row !== undefined && row.owner !== self && isProcessAlive(row.owner)
  }

  return {
    isHeld,
    take(id) {
      const isTaken = database.write(() => {
        if (isHeld(id)) return false
        database.run(
          'INSERT INTO ingest_locks (id, owner) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner',
          id,
          self,
        )
        return true
      }, 'relaxed')
      if (isTaken) {
        held.add(id)
        owed.delete(id)
      }
      return isTaken
    },
    free(id) {
      if (!held.delete(id)) return
      owed.add(id)
      const isWritten = writeIfPossible(database, () => {
        for (const each of owed) database.run('DELETE FROM ingest_locks WHERE id = ?', each)
      })
      if (isWritten) owed.clear()
    },
  }
}
