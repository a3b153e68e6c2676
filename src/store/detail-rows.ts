import type { Digest } from '../oci/digest.ts'
import type { Database } from './database.ts'
import type { PlatformEntry } from './inventory.ts'
import type { ManifestDetails } from './manifest-details.ts'

export interface ManifestKey {
  readonly id: number
  /** The repository's row. */
  readonly repository: number
  readonly digest: Digest
}

/** Keeps what lists show of a manifest; to be called in the transaction that puts it, after its references. */
export function putDetails(database: Database, manifest: ManifestKey, details: ManifestDetails): void {
  const isImage = details.bytes !== undefined
  const children = isImage
    ? []
    : details.platforms.map(({ digest }) => findChild(database, manifest.repository, digest))
  const platforms: readonly PlatformEntry[] = details.platforms.map((platform, index) => {
    const bytes = isImage ? details.bytes : children[index]?.bytes
    return bytes === undefined ? platform : { ...platform, bytes }
  })
  const newest = children.reduce((time, child) => Math.max(time, child?.createdAt ?? 0), 0)
  database.run(
    'UPDATE manifests SET bytes = ?, image_created_at = ?, platforms = ?, labels = ? WHERE id = ? AND digest = ?',
    details.bytes ?? bytesNeeded(database, manifest),
    details.createdAt ?? (newest === 0 ? null : newest),
    platforms.length === 0 ? null : JSON.stringify(platforms),
    Object.keys(details.labels).length === 0 ? null : JSON.stringify(details.labels),
    manifest.id,
    manifest.digest,
  )
}

interface ChildDetails {
  readonly bytes: number
  readonly createdAt: number | undefined
}

function findChild(database: Database, repository: number, digest: Digest): ChildDetails | undefined {
  const row = database.one<{ id: number; bytes: number | null; createdAt: number | null }>(
    'SELECT id, bytes, image_created_at AS createdAt FROM manifests WHERE repository = ? AND digest = ?',
    repository,
    digest,
  )
  if (row === undefined) return undefined
  return {
    bytes: row.bytes ?? bytesNeeded(database, { id: row.id, repository, digest }),
    createdAt: row.createdAt ?? undefined,
  }
}

/** Beyond so many digests an index is not counted to the end: one call must not hold up all others. */
const MAX_COUNTED = 100_000

/** What a manifest and all below it take that is stored, each digest once. */
function bytesNeeded(database: Database, { digest, repository }: ManifestKey): number {
  const row = database.one<{ bytes: number | null }>(
    `WITH RECURSIVE needed(digest) AS (
       SELECT ?1
       UNION
       SELECT r.digest FROM needed
         JOIN manifests m ON m.repository = ?2 AND m.digest = needed.digest
         JOIN manifest_references r ON r.manifest = m.id
       LIMIT ${MAX_COUNTED}
     )
     SELECT sum(b.size) AS bytes FROM needed CROSS JOIN blobs b ON b.digest = needed.digest`,
    digest,
    repository,
  )
  return row?.bytes ?? 0
}

export interface Undescribed extends ManifestKey {
  readonly mediaType: string
  readonly size: number
}

/** Manifests of which nobody has looked at the content yet, those put first before others. */
export function listUndescribed(
  database: Database,
  pushedBefore: number,
  limit: number,
): readonly Undescribed[] {
  return database.all<Undescribed>(
    `SELECT m.id, m.repository, m.digest, m.media_type AS mediaType, m.size
     FROM manifests m WHERE m.bytes IS NULL AND m.pushed_at < ? ORDER BY m.id LIMIT ?`,
    pushedBefore,
    limit,
  )
}
