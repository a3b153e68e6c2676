/** The rows of one manifest: itself, what it references, the tags that point at it. */
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import { findBlob, requireBlobs } from './blob-rows.ts'
import type { Database } from './database.ts'
import { putDetails } from './detail-rows.ts'
import type { ManifestHead, ManifestRecord, ManifestReference } from './metadata.ts'
import { addRepository, findLink, putLinks } from './repository-rows.ts'
import { isTouchDue, writeIfPossible } from './touch.ts'

export interface ManifestRow {
  readonly id: number
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  readonly artifactType: string | null
  readonly subject: Digest | null
  readonly annotations: string | null
  readonly touchedAt: number
}

interface ReferenceRow {
  readonly digest: Digest
  readonly optional: number
}

export const MANIFEST_COLUMNS = `m.id, m.digest, m.media_type AS mediaType, m.size, m.artifact_type AS artifactType,
  m.subject, m.annotations, m.touched_at AS touchedAt`

export function findManifest(
  database: Database,
  repository: RepositoryName,
  digest: Digest,
): ManifestRow | undefined {
  return database.one<ManifestRow>(
    `SELECT ${MANIFEST_COLUMNS} FROM manifests m JOIN repositories r ON r.id = m.repository
     WHERE r.name = ? AND m.digest = ?`,
    repository,
    digest,
  )
}

/** What `findHead` finds. */
export interface HeadRow extends ManifestHead, Pick<ManifestRow, 'id' | 'touchedAt'> {}

const HEAD = 'SELECT m.id, m.digest, m.media_type AS mediaType, m.size, m.touched_at AS touchedAt'
const HEAD_BY_TAG = `${HEAD} FROM repositories r JOIN tags t ON t.repository = r.id AND t.tag = ?2
  JOIN manifests m ON m.id = t.manifest WHERE r.name = ?1`
const HEAD_BY_DIGEST = `${HEAD} FROM repositories r JOIN manifests m ON m.repository = r.id AND m.digest = ?2
  WHERE r.name = ?1`

export function findHead(
  database: Database,
  repository: RepositoryName,
  reference: ManifestReference,
): HeadRow | undefined {
  return 'tag' in reference
    ? database.one<HeadRow>(HEAD_BY_TAG, repository, reference.tag)
    : database.one<HeadRow>(HEAD_BY_DIGEST, repository, reference.digest)
}

export function manifestRecord(database: Database, row: ManifestRow): ManifestRecord {
  const references = database.all<ReferenceRow>(
    'SELECT digest, optional FROM manifest_references WHERE manifest = ? ORDER BY position',
    row.id,
  )
  const optional = references.filter(reference => reference.optional === 1)
  return {
    digest: row.digest,
    mediaType: row.mediaType,
    size: row.size,
    references: references.map(reference => reference.digest),
    ...(optional.length > 0 && { optional: optional.map(reference => reference.digest) }),
    ...(row.artifactType !== null && { artifactType: row.artifactType }),
    ...(row.subject !== null && { subject: row.subject }),
    ...(row.annotations !== null && { annotations: JSON.parse(row.annotations) }),
  }
}

export function touchManifest(
  database: Database,
  row: Pick<ManifestRow, 'id' | 'touchedAt'>,
  now: number,
): void {
  if (!isTouchDue(row.touchedAt, now)) return
  writeIfPossible(database, () =>
    database.run('UPDATE manifests SET touched_at = ? WHERE id = ?', now, row.id),
  )
}

/** A put that changes nothing writes nothing: the tags already keep the manifest and what it needs. */
export function isUnchanged(
  database: Database,
  repository: RepositoryName,
  manifest: ManifestRecord,
  tags: readonly Tag[],
): boolean {
  const row = findManifest(database, repository, manifest.digest)
  if (row === undefined || row.mediaType !== manifest.mediaType || tags.length === 0) return false
  const pointsHere = (tag: Tag): boolean =>
    database.one(
      'SELECT 1 FROM tags t JOIN repositories r ON r.id = t.repository WHERE r.name = ? AND t.tag = ? AND t.manifest = ?',
      repository,
      tag,
      row.id,
    ) !== undefined
  const isLinkedOrAbsent = (digest: Digest): boolean =>
    findLink(database, repository, digest) !== undefined || findBlob(database, digest) === undefined
  return tags.every(pointsHere) && neededBy(manifest).every(isLinkedOrAbsent)
}

/** That an image was pushed again as it is keeps it from looking old. */
export function notePush(database: Database, repository: RepositoryName, digest: Digest, now: number): void {
  const row = database.one<{ id: number; repository: number; pushedAt: number }>(
    `SELECT m.id, m.repository, m.pushed_at AS pushedAt FROM repositories r
       JOIN manifests m ON m.repository = r.id AND m.digest = ? WHERE r.name = ?`,
    digest,
    repository,
  )
  if (row === undefined || !isTouchDue(row.pushedAt, now)) return
  writeIfPossible(database, () => {
    database.run('UPDATE manifests SET pushed_at = ?1, touched_at = ?1 WHERE id = ?2', now, row.id)
    database.run('UPDATE repositories SET pushed_at = max(pushed_at, ?) WHERE id = ?', now, row.repository)
  })
}

/** The references without which the manifest is not whole. */
function neededBy(manifest: ManifestRecord): readonly Digest[] {
  const optional = new Set(manifest.optional)
  return manifest.references.filter(digest => !optional.has(digest))
}

export function insertManifest(
  database: Database,
  repository: RepositoryName,
  manifest: ManifestRecord,
  tags: readonly Tag[],
  now: number,
): void {
  const { digest, mediaType, size, artifactType, subject, annotations, references } = manifest
  requireBlobs(database, [digest, ...neededBy(manifest)], `Cannot put manifest ${digest} into ${repository}`)
  const repositoryRow = addRepository(database, repository)
  const row = database.one<{ id: number }>(
    `INSERT INTO manifests (repository, digest, media_type, size, artifact_type, subject, annotations, touched_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type, size = excluded.size,
       artifact_type = excluded.artifact_type, subject = excluded.subject, annotations = excluded.annotations,
       touched_at = excluded.touched_at, pushed_at = excluded.touched_at
     RETURNING id`,
    repositoryRow,
    digest,
    mediaType,
    size,
    artifactType ?? null,
    subject ?? null,
    annotations === undefined ? null : JSON.stringify(annotations),
    now,
  )
  if (row === undefined) throw new Error('an upsert returns its row')
  putReferences(database, row.id, references, new Set(manifest.optional))
  putLinks(database, repositoryRow, neededBy(manifest), now)
  if (manifest.details !== undefined)
    putDetails(database, { id: row.id, repository: repositoryRow, digest }, manifest.details)
  for (const tag of tags) putTag(database, repositoryRow, tag, row.id, now)
}

function putReferences(
  database: Database,
  manifest: number,
  references: readonly Digest[],
  optional: ReadonlySet<Digest>,
): void {
  database.run('DELETE FROM manifest_references WHERE manifest = ?', manifest)
  for (const [position, digest] of references.entries())
    database.run(
      'INSERT INTO manifest_references (manifest, position, digest, optional) VALUES (?, ?, ?, ?)',
      manifest,
      position,
      digest,
      optional.has(digest) ? 1 : 0,
    )
}

/** A tag that already points there keeps its time. */
function putTag(database: Database, repository: number, tag: Tag, manifest: number, now: number): void {
  database.run(
    `INSERT INTO tags (repository, tag, manifest, updated_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (repository, tag) DO UPDATE SET manifest = excluded.manifest, updated_at = excluded.updated_at
     WHERE manifest <> excluded.manifest`,
    repository,
    tag,
    manifest,
    now,
  )
}
