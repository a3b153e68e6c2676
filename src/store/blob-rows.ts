import type { BlobInfo } from '../oci/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { Database } from './database.ts'
import { StoreError } from './errors.ts'
import { isTouchDue, writeIfPossible } from './touch.ts'

/** What content there is, as the database knows it. A row promises that the bytes are on disk. */
export interface BlobRow extends BlobInfo {
  readonly touchedAt: number
}

const COLUMNS = 'digest, size, touched_at AS touchedAt'

export function findBlob(database: Database, digest: Digest): BlobRow | undefined {
  return database.one<BlobRow>(`SELECT ${COLUMNS} FROM blobs WHERE digest = ?`, digest)
}

/** In byte order of the digests. */
export function listBlobs(database: Database, after: string, limit: number): readonly BlobRow[] {
  return database.all<BlobRow>(
    `SELECT ${COLUMNS} FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?`,
    after,
    limit,
  )
}

/** True when there is content whose digest begins like this. */
export function hasBlobWithPrefix(database: Database, prefix: string): boolean {
  const [blob] = listBlobs(database, prefix, 1)
  return blob?.digest.startsWith(prefix) === true
}

/** To be called in the transaction that puts the bytes in their place. */
export function putBlob(database: Database, blob: BlobInfo, now: number): void {
  database.run(
    `INSERT INTO blobs (digest, size, touched_at) VALUES (?, ?, ?)
     ON CONFLICT (digest) DO UPDATE SET size = excluded.size, touched_at = excluded.touched_at`,
    blob.digest,
    blob.size,
    now,
  )
}

/** Notes that somebody asked for the blob. */
export function touchBlob(database: Database, blob: BlobRow, now: number): void {
  if (!isTouchDue(blob.touchedAt, now)) return
  writeIfPossible(database, () =>
    database.run('UPDATE blobs SET touched_at = max(touched_at, ?) WHERE digest = ?', now, blob.digest),
  )
}

/** True when there was one. What needs the blob goes with it (links, layers, cache records). */
export function deleteBlob(database: Database, digest: Digest): boolean {
  return database.run('DELETE FROM blobs WHERE digest = ?', digest) > 0
}

/** @throws StoreError `content-missing` with those of the digests that are not stored */
export function requireBlobs(database: Database, digests: readonly Digest[], action: string): void {
  const missing = [...new Set(digests)].filter(digest => findBlob(database, digest) === undefined)
  if (missing.length === 0) return
  const named = missing.slice(0, 3).join(', ')
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : ''
  throw new StoreError('content-missing', `${action}: ${named}${more} not stored`, { detail: missing })
}
