import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/reference.ts'
import type { Database } from './database.ts'

/** Who is without something when content is lost. */
export interface NeededBy {
  /** `app:1.0`; `app@sha256:...` for an image that no tag leads to. In byte order, at most 100. */
  readonly images: readonly string[]
  /** Results of build steps. */
  readonly cacheRecords: number
}

const IMAGES = `
  WITH RECURSIVE above(id) AS (
    SELECT id FROM manifests WHERE digest = ?1
    UNION SELECT manifest FROM manifest_references WHERE digest = ?1
    UNION
    SELECT parent.id FROM above JOIN manifests child ON child.id = above.id
      JOIN manifest_references r ON r.digest = child.digest
      JOIN manifests parent ON parent.id = r.manifest AND parent.repository = child.repository
  )
  SELECT DISTINCT r.name || coalesce(':' || t.tag, '@' || m.digest) AS name FROM above
    JOIN manifests m ON m.id = above.id JOIN repositories r ON r.id = m.repository
    LEFT JOIN tags t ON t.manifest = m.id
  WHERE t.tag IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM manifest_references up JOIN manifests p ON p.id = up.manifest
    WHERE up.digest = m.digest AND p.repository = m.repository)
  ORDER BY name LIMIT 100`

export function neededBy(database: Database, digest: Digest): NeededBy {
  const records = database.one<{ count: number }>(
    'SELECT count(*) AS count FROM cache_records WHERE layer = ?',
    digest,
  )
  return {
    images: database.all<{ name: string }>(IMAGES, digest).map(({ name }) => name),
    cacheRecords: records?.count ?? 0,
  }
}

/** Repositories that hold the content, and of which type it is there; none for a blob that is no manifest. */
export interface Holder {
  readonly repository: RepositoryName
  readonly mediaType: string | null
}

export function holdersOf(database: Database, digest: Digest): readonly Holder[] {
  return database.all<Holder>(
    `SELECT r.name AS repository, m.media_type AS mediaType FROM repositories r
     LEFT JOIN manifests m ON m.repository = r.id AND m.digest = ?1
     WHERE m.id IS NOT NULL OR r.id IN (SELECT repository FROM links WHERE digest = ?1)
     ORDER BY r.name`,
    digest,
  )
}
