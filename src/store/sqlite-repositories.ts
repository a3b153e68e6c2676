import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/reference.ts'
import { requireBlobs } from './blob-rows.ts'
import type { Database } from './database.ts'
import { StoreError } from './errors.ts'
import {
  findHead,
  findManifest,
  insertManifest,
  isUnchanged,
  MANIFEST_COLUMNS,
  type ManifestRow,
  manifestRecord,
  notePush,
  touchManifest,
} from './manifest-rows.ts'
import type { Metadata, Page, TagRecord } from './metadata.ts'
import { createRememberedRows } from './remembered-rows.ts'
import {
  addRepository,
  dropEmptyRepository,
  findLinkedBlob,
  isLinked,
  putLinks,
  repositoryID,
  touchLinkedBlob,
} from './repository-rows.ts'
import {
  findTagged,
  NO_RULES,
  requireNoImmutableTag,
  requireTagFree,
  type StoreRules,
  withinQuotas,
} from './rules.ts'

/** The part of `Metadata` that is about repositories: manifests, tags, referrers, linked blobs. */
export type RepositoryMetadata = Pick<
  Metadata,
  | 'getManifest'
  | 'getTag'
  | 'findManifest'
  | 'putManifest'
  | 'deleteManifest'
  | 'deleteTag'
  | 'listTags'
  | 'listRepositories'
  | 'listAllTags'
  | 'listReferrers'
  | 'linkBlob'
  | 'isBlobLinked'
  | 'findLinkedBlob'
  | 'listRepositoriesWithBlob'
  | 'unlinkBlob'
>

const TAGS = `SELECT r.name AS repository, t.tag, m.digest, m.media_type AS mediaType, t.updated_at AS updatedAt
  FROM tags t JOIN manifests m ON m.id = t.manifest JOIN repositories r ON r.id = t.repository`

export function createRepositoryMetadata(
  database: Database,
  now: () => number,
  rules: StoreRules = NO_RULES,
): RepositoryMetadata {
  const remembered = createRememberedRows(database)
  return {
    getManifest(repository, digest) {
      const row = findManifest(database, repository, digest)
      if (row === undefined) return undefined
      touchManifest(database, row, now())
      return manifestRecord(database, row)
    },

    findManifest(repository, reference) {
      const key = 'tag' in reference ? `${repository}:${reference.tag}` : `${repository}@${reference.digest}`
      const row = remembered.get(key, () => findHead(database, repository, reference))
      if (row === undefined) return undefined
      touchManifest(database, row, now())
      const { digest, mediaType, size } = row
      return { digest, mediaType, size }
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

    findLinkedBlob(repository, digest) {
      const row = remembered.get(`${repository} ${digest}`, () =>
        findLinkedBlob(database, repository, digest),
      )
      if (row === undefined) return undefined
      touchLinkedBlob(database, row, now())
      return { digest, size: row.size }
    },

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
