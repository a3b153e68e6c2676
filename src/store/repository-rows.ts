import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/reference.ts'
import { type BlobRow, touchBlob } from './blob-rows.ts'
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

interface LinkedBlobRow extends BlobRow {
  readonly repository: number
  readonly linkTouchedAt: number
}

const LINKED_BLOB = `SELECT l.repository, l.touched_at AS linkTouchedAt, b.digest, b.size, b.touched_at AS touchedAt
  FROM repositories r JOIN links l ON l.repository = r.id AND l.digest = ?2 JOIN blobs b ON b.digest = l.digest
  WHERE r.name = ?1`

export function findLinkedBlob(
  database: Database,
  repository: RepositoryName,
  digest: Digest,
): LinkedBlobRow | undefined {
  return database.one<LinkedBlobRow>(LINKED_BLOB, repository, digest)
}

/** Notes that somebody asked for the blob in this repository. */
export function touchLinkedBlob(database: Database, row: LinkedBlobRow, now: number): void {
  touchLink(database, { repository: row.repository, touchedAt: row.linkTouchedAt }, row.digest, now)
  touchBlob(database, row, now)
}

export function isLinked(
  database: Database,
  repository: RepositoryName,
  digest: Digest,
  now: number,
): boolean {
  const link = findLink(database, repository, digest)
  if (link === undefined) return false
  touchLink(database, link, digest, now)
  return true
}

function touchLink(database: Database, link: LinkRow, digest: Digest, now: number): void {
  if (!isTouchDue(link.touchedAt, now)) return
  writeIfPossible(database, () =>
    database.run(
      'UPDATE links SET touched_at = ? WHERE repository = ? AND digest = ?',
      now,
      link.repository,
      digest,
    ),
  )
}
