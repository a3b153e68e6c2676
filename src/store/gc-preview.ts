/**
 * What garbage collection would take, without taking it, and without keeping anybody from writing: over a snapshot, on
 * a connection of its own, with what would be gone noted in tables that only this connection has.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BlobInfo } from '../oci/content.ts'
import { Database } from './database.ts'
import { LIVE_MANIFESTS } from './gc-rows.ts'

const WINDOW = 256

const START = `
  PRAGMA temp_store = MEMORY;
  CREATE TEMP TABLE dead_manifests (id INTEGER PRIMARY KEY);
  CREATE TEMP TABLE dead_links (repository INTEGER, digest TEXT, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
  BEGIN`

const NOTE_DEAD_MANIFESTS = `
  INSERT INTO dead_manifests
  ${LIVE_MANIFESTS} SELECT id FROM manifests WHERE repository = ?1 AND id NOT IN live`

const NOTE_DEAD_LINKS = `
  INSERT INTO dead_links SELECT repository, digest FROM links WHERE repository = ?1 AND touched_at < ?2
    AND NOT EXISTS (SELECT 1 FROM manifest_references r JOIN manifests m ON m.id = r.manifest
                    WHERE r.digest = links.digest AND m.repository = ?1 AND m.id NOT IN dead_manifests)`

const UNNEEDED = `
  SELECT digest, size FROM blobs WHERE digest = ?
    AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = blobs.digest AND m.id NOT IN dead_manifests)
    AND NOT EXISTS (SELECT 1 FROM manifest_references r
                    WHERE r.digest = blobs.digest AND r.manifest NOT IN dead_manifests)
    AND NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = blobs.digest AND NOT EXISTS (
                    SELECT 1 FROM dead_links d WHERE d.repository = l.repository AND d.digest = l.digest))
    AND NOT EXISTS (SELECT 1 FROM cache_records WHERE layer = blobs.digest)`

/** @param path of the store's database @returns what `sweepRepositories` and `sweepBlobs` would remove, in byte order */
export async function previewSweep(
  path: string,
  cutoff: number,
  signal: AbortSignal,
): Promise<readonly BlobInfo[]> {
  const database = new Database(path)
  try {
    database.exec(START)
    for (const { id } of database.all<{ id: number }>('SELECT id FROM repositories ORDER BY id')) {
      signal.throwIfAborted()
      database.run(NOTE_DEAD_MANIFESTS, id, cutoff)
      database.run(NOTE_DEAD_LINKS, id, cutoff)
      await nextTurn()
    }
    return await unneeded(database, cutoff, signal)
  } finally {
    database.close()
  }
}

async function unneeded(database: Database, cutoff: number, signal: AbortSignal): Promise<BlobInfo[]> {
  const found: BlobInfo[] = []
  for (let after = ''; ; ) {
    signal.throwIfAborted()
    const window = database.all<{ digest: string }>(
      'SELECT digest FROM blobs WHERE digest > ? AND touched_at < ? ORDER BY digest LIMIT ?',
      after,
      cutoff,
      WINDOW,
    )
    for (const { digest } of window) found.push(...database.all<BlobInfo>(UNNEEDED, digest))
    const last = window.at(-1)
    if (last === undefined) return found
    after = last.digest
    await nextTurn()
  }
}
