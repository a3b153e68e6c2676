import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/reference.ts'
import type { Database } from './database.ts'
import { isTouchDue, writeIfPossible } from './touch.ts'

export function repositoryID(database: Database, repository: RepositoryName): number | undefined {
  return database.one<{ id: number }>('SELECT id FROM repositories WHERE name = ?', repository)?.id
}

export function addRepository(database: Database, repository: RepositoryName): number {
  const row = database.one<{ id: number }>(
    'INSERT INTO repositories (name) VALUES (?) ON CONFLICT DO UPDATE SET name = name RETURNING id',
    repository,
  )
  if (row === undefined) throw new Error('an upsert returns its row')
  return row.id
}

/** Repositories that hold nothing are not listed: their row goes with the last thing in it. */
export function dropEmptyRepository(database: Database, id: number): void {
  database.run(
    `DELETE FROM repositories WHERE id = ?1
     AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = ?1)
     AND NOT EXISTS (SELECT 1 FROM links WHERE repository = ?1)`,
    id,
  )
}

/** Links those of the digests that are stored. */
export function putLinks(
  database: Database,
  repository: number,
  digests: readonly Digest[],
  now: number,
): void {
  for (const digest of digests)
    database.run(
      `INSERT INTO links (repository, digest, touched_at) SELECT ?, digest, ? FROM blobs WHERE digest = ?
       ON CONFLICT (repository, digest) DO UPDATE SET touched_at = excluded.touched_at`,
      repository,
      now,
      digest,
    )
}

interface LinkRow {
  readonly repository: number
  readonly touchedAt: number
}

export function findLink(
  database: Database,
  repository: RepositoryName,
  digest: Digest,
): LinkRow | undefined {
  return database.one<LinkRow>(
    `SELECT l.repository, l.touched_at AS touchedAt FROM links l JOIN repositories r ON r.id = l.repository
     WHERE r.name = ? AND l.digest = ?`,
    repository,
    digest,
  )
}

export function isLinked(
  database: Database,
  repository: RepositoryName,
  digest: Digest,
  now: number,
): boolean {
  const link = findLink(database, repository, digest)
  if (link === undefined) return false
  if (isTouchDue(link.touchedAt, now))
    writeIfPossible(database, () =>
      database.run(
        'UPDATE links SET touched_at = ? WHERE repository = ? AND digest = ?',
        now,
        link.repository,
        digest,
      ),
    )
  return true
}
