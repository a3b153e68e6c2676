/**
 * The part of garbage collection that happens in the database. Each generator does one short transaction per step,
 * so that its caller can let others work in between.
 */
import type { BlobInfo } from '../oci/content.ts'
import type { Database } from './database.ts'
import { dropEmptyRepository } from './repository-rows.ts'

/** Whether a manifest lives is decided inside its repository, so one repository is one transaction. */
export function* sweepRepositories(database: Database, cutoff: number): Generator<void> {
  const ids = database.all<{ id: number }>('SELECT id FROM repositories ORDER BY id')
  for (const { id } of ids) {
    database.write(() => sweepRepository(database, id, cutoff))
    yield
  }
}

/** Blobs that nothing in the database needs and nobody touched since the cutoff, in byte order. */
export function* sweepBlobs(database: Database, cutoff: number): Generator<readonly BlobInfo[]> {
  let after = ''
  while (true) {
    const window = database.all<BlobInfo>(
      'SELECT digest, size FROM blobs WHERE digest > ? AND touched_at < ? ORDER BY digest LIMIT ?',
      after,
      cutoff,
      WINDOW,
    )
    const last = window.at(-1)
    if (last === undefined) return
    after = last.digest
    yield database.write(() => window.filter(blob => deleteUnneeded(database, blob, cutoff)))
  }
}

/** Tables of contents whose layers are all gone. */
export function sweepTocs(database: Database): void {
  database.write(() => {
    database.run(
      'DELETE FROM tocs WHERE NOT EXISTS (SELECT 1 FROM layers WHERE layers.diff_id = tocs.diff_id)',
    )
  })
}

const WINDOW = 256

/**
 * A manifest lives when it is tagged or was touched, and so do its children and its referrers, and theirs. (A
 * referrer keeps nothing alive but its own children: its subject may go, and then it goes too.) ?1 is the repository,
 * ?2 the cutoff.
 */
export const LIVE_MANIFESTS = `
  WITH RECURSIVE live(id) AS (
    SELECT id FROM manifests m WHERE m.repository = ?1
      AND (m.touched_at >= ?2 OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest = m.id))
    UNION
    SELECT child.id FROM live
      JOIN manifest_references r ON r.manifest = live.id
      JOIN manifests child ON child.repository = ?1 AND child.digest = r.digest
    UNION
    SELECT referrer.id FROM live
      JOIN manifests subject ON subject.id = live.id
      JOIN manifests referrer ON referrer.repository = ?1 AND referrer.subject = subject.digest
  )`

const DELETE_DEAD_MANIFESTS = `${LIVE_MANIFESTS}
  DELETE FROM manifests WHERE repository = ?1 AND id NOT IN live`

const DELETE_DEAD_LINKS = `
  DELETE FROM links WHERE repository = ?1 AND touched_at < ?2
    AND NOT EXISTS (SELECT 1 FROM manifest_references r JOIN manifests m ON m.id = r.manifest
                    WHERE r.digest = links.digest AND m.repository = ?1)`

/** One repository of `sweepRepositories`; to be called in a transaction. */
export function sweepRepository(database: Database, id: number, cutoff: number): void {
  database.run(DELETE_DEAD_MANIFESTS, id, cutoff)
  database.run(DELETE_DEAD_LINKS, id, cutoff)
  dropEmptyRepository(database, id)
}

/** True when nothing needed the blob, and its row is gone; to be called in a transaction. */
export function deleteUnneeded(database: Database, { digest }: BlobInfo, cutoff: number): boolean {
  return (
    database.run(
      `DELETE FROM blobs WHERE digest = ?1 AND touched_at < ?2
         AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?1)
         AND NOT EXISTS (SELECT 1 FROM manifest_references WHERE digest = ?1)
         AND NOT EXISTS (SELECT 1 FROM links WHERE digest = ?1)
         AND NOT EXISTS (SELECT 1 FROM cache_records WHERE layer = ?1)`,
      digest,
      cutoff,
    ) > 0
  )
}
