import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import { findBlob, requireBlobs } from './blob-rows.ts'
import type { Database } from './database.ts'
import { putDetails } from './detail-rows.ts'
import { StoreError } from './errors.ts'
import type { ManifestRecord, Metadata, Page, TagRecord } from './metadata.ts'
import {
  addRepository,
  dropEmptyRepository,
  findLink,
  isLinked,
  putLinks,
  repositoryID,
} from './repository-rows.ts'
import {
  findTagged,
  NO_RULES,
  requireNoImmutableTag,
  requireTagFree,
  type StoreRules,
  withinQuotas,
} from './rules.ts'
import { isTouchDue, writeIfPossible } from './touch.ts'

/** The part of `Metadata` that is about repositories: manifests, tags, referrers, linked blobs. */
export type RepositoryMetadata = Pick<
  Metadata,
  | 'getManifest'
  | 'getTag'
  | 'putManifest'
  | 'deleteManifest'
  | 'deleteTag'
  | 'listTags'
  | 'listRepositories'
  | 'listAllTags'
  | 'listReferrers'
  | 'linkBlob'
  | 'isBlobLinked'
  | 'listRepositoriesWithBlob'
  | 'unlinkBlob'
>

interface ManifestRow {
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

const MANIFEST_COLUMNS = `m.id, m.digest, m.media_type AS mediaType, m.size, m.artifact_type AS artifactType,
  m.subject, m.annotations, m.touched_at AS touchedAt`

const TAGS = `SELECT r.name AS repository, t.tag, m.digest, m.media_type AS mediaType, t.updated_at AS updatedAt
  FROM tags t JOIN manifests m ON m.id = t.manifest JOIN repositories r ON r.id = t.repository`

export function createRepositoryMetadata(
  database: Database,
  now: () => number,
  rules: StoreRules = NO_RULES,
): RepositoryMetadata {
  return {
    getManifest(repository, digest) {
      const row = findManifest(database, repository, digest)
      if (row === undefined) return undefined
      touchManifest(database, row, now())
      return manifestRecord(database, row)
    },

    getTag: (repository, tag) =>
      database.one<TagRecord>(`${TAGS} WHERE r.name = ? AND t.tag = ?`, repository, tag),

    putManifest(repository, manifest, tags) {
      if (isUnchanged(database, repository, manifest, tags)) {
        notePush(database, repository, manifest.digest, now())
        return
      }
      database.write(() => {
        for (const tag of tags) requireTagFree(database, rules, repository, tag, manifest.digest)
        withinQuotas(database, rules, repository, () =>
          insertManifest(database, repository, manifest, tags, now()),
        )
      })
    },

    deleteManifest: (repository, digest) =>
      deleteFrom(
        database,
        repository,
        'DELETE FROM manifests WHERE digest = ?1 AND repository = (SELECT id FROM repositories WHERE name = ?2)',
        digest,
        () => {
          requireNoImmutableTag(database, rules, repository, digest)
          return true
        },
      ),

    deleteTag: (repository, tag, expected) =>
      deleteFrom(
        database,
        repository,
        'DELETE FROM tags WHERE tag = ?1 AND repository = (SELECT id FROM repositories WHERE name = ?2)',
        tag,
        () => {
          requireTagFree(database, rules, repository, tag)
          return expected === undefined || findTagged(database, repository, tag) === expected
        },
      ),

    listTags(repository, page = {}) {
      if (repositoryID(database, repository) === undefined) return undefined
      return database.all<TagRecord>(
        `${TAGS} WHERE r.name = ? AND t.tag > ? ORDER BY t.tag LIMIT ?`,
        repository,
        ...cursor(page),
      )
    },

    listRepositories: (page = {}) =>
      database
        .all<{ name: RepositoryName }>(
          'SELECT name FROM repositories WHERE name > ? ORDER BY name LIMIT ?',
          ...cursor(page),
        )
        .map(row => row.name),

    listAllTags: () => database.all<TagRecord>(`${TAGS} ORDER BY t.updated_at DESC, r.name, t.tag`),

    listReferrers: (repository, subject, { after, limit } = {}) =>
      database
        .all<ManifestRow>(
          `SELECT ${MANIFEST_COLUMNS} FROM manifests m JOIN repositories r ON r.id = m.repository
           WHERE r.name = ?1 AND m.subject = ?2 AND m.id > coalesce(
             (SELECT id FROM manifests WHERE repository = r.id AND subject = ?2 AND digest = ?3), 0)
           ORDER BY m.id LIMIT ?4`,
          repository,
          subject,
          after ?? '',
          limit ?? -1,
        )
        .map(row => manifestRecord(database, row)),

    linkBlob(repository, digest) {
      if (isLinked(database, repository, digest, now())) return
      database.write(() => {
        requireBlobs(database, [digest], `Cannot link content into ${repository}`)
        withinQuotas(database, rules, repository, () =>
          putLinks(database, addRepository(database, repository), [digest], now()),
        )
      })
    },

    isBlobLinked: (repository, digest) => isLinked(database, repository, digest, now()),

    listRepositoriesWithBlob: (digest, limit) =>
      database
        .all<{ name: RepositoryName }>(
          'SELECT r.name FROM links l JOIN repositories r ON r.id = l.repository WHERE l.digest = ? LIMIT ?',
          digest,
          limit,
        )
        .map(row => row.name),

    unlinkBlob: (repository, digest) =>
      deleteFrom(
        database,
        repository,
        'DELETE FROM links WHERE digest = ?1 AND repository = (SELECT id FROM repositories WHERE name = ?2)',
        digest,
        () => requireUnused(database, repository, digest),
      ),
  }
}

/** SQLite's own "no limit" is -1. */
function cursor(page: Page): [after: string, limit: number] {
  return [page.after ?? '', page.limit ?? -1]
}

/**
 * @param sql takes the item and the repository's name
 * @param mayDelete throws where it must not be deleted; false leaves it there in silence
 */
function deleteFrom(
  database: Database,
  repository: RepositoryName,
  sql: string,
  item: string,
  mayDelete: () => boolean = () => true,
): boolean {
  return database.write(() => {
    const id = repositoryID(database, repository)
    if (id === undefined || !mayDelete() || database.run(sql, item, repository) === 0) return false
    dropEmptyRepository(database, id)
    return true
  })
}

/** An image that is still listed must be whole for whoever pulls it. */
function requireUnused(database: Database, repository: RepositoryName, digest: Digest): true {
  const user = database.one<{ digest: Digest }>(
    `SELECT m.digest FROM manifest_references u JOIN manifests m ON m.id = u.manifest
     JOIN repositories r ON r.id = m.repository WHERE u.digest = ? AND r.name = ? LIMIT 1`,
    digest,
    repository,
  )
  if (user === undefined) return true
  throw new StoreError(
    'content-in-use',
    `Cannot delete ${digest}: manifest ${user.digest} of ${repository} needs it; delete that first`,
    { detail: { manifest: user.digest } },
  )
}

function findManifest(
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

function manifestRecord(database: Database, row: ManifestRow): ManifestRecord {
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

function touchManifest(database: Database, row: ManifestRow, now: number): void {
  if (!isTouchDue(row.touchedAt, now)) return
  writeIfPossible(database, () =>
    database.run('UPDATE manifests SET touched_at = ? WHERE id = ?', now, row.id),
  )
}

/** A put that changes nothing writes nothing: the tags already keep the manifest and what it needs. */
function isUnchanged(
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
function notePush(database: Database, repository: RepositoryName, digest: Digest, now: number): void {
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

function insertManifest(
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
