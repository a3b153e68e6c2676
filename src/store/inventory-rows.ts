import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { Database } from './database.ts'
import { bytesFreedByTag } from './freed-bytes.ts'
import {
  type Cursor,
  type Inventory,
  MAX_REFERRERS,
  type ManifestEntry,
  type RepositoryEntry,
  type RepositoryOrder,
  type StoreTotals,
} from './inventory.ts'
import { repositoryID } from './repository-rows.ts'
import { quotaUsage } from './rules.ts'
import { writeIfPossible } from './touch.ts'

/** Every statement here goes by an index: its cost depends on what it returns, not on how much is stored. */
export function createInventory(database: Database): Inventory {
  return {
    listRepositories: ({ order, search = '', after, limit }) =>
      database.all<RepositoryEntry>(REPOSITORY_LISTS[order], ...startOf(order, after), search, limit),

    getRepository: name =>
      database.one<RepositoryEntry>(`SELECT ${REPOSITORY} FROM repositories WHERE name = ?`, name),

    listTags(repository, { order, after, limit }) {
      const id = repositoryID(database, repository)
      if (id === undefined) return undefined
      return database
        .all<TagRow>(TAG_LISTS[order], id, ...startOf(order, after), limit)
        .map(row => ({ ...manifestEntry(row), tag: row.tag, taggedAt: row.taggedAt }))
    },

    getManifest(repository, digest) {
      const row = database.one<ManifestRow>(
        `SELECT ${MANIFEST} FROM manifests m WHERE m.repository = ? AND m.digest = ?`,
        repositoryID(database, repository) ?? 0,
        digest,
      )
      return row && manifestEntry(row)
    },

    tagsOf: (repository, digest, limit) =>
      database
        .all<{ tag: Tag }>(
          `SELECT tag FROM tags WHERE manifest = (SELECT id FROM manifests WHERE repository = ? AND digest = ?)
           ORDER BY repository, tag LIMIT ?`,
          repositoryID(database, repository) ?? 0,
          digest,
          limit,
        )
        .map(row => row.tag),

    bytesFreedByTag: (repository, tag) => bytesFreedByTag(database, repository, tag),

    totals: () =>
      database.one<StoreTotals>('SELECT blobs, bytes FROM totals WHERE id = 1') ?? { blobs: 0, bytes: 0 },

    quotaUsage: prefix => quotaUsage(database, prefix),

    bytesNewBelow: (prefix, { digest, size }) =>
      database.one('SELECT 1 FROM quota_content WHERE prefix = ? AND digest = ?', prefix, digest) ===
      undefined
        ? size
        : 0,

    recordPulls(pulls) {
      writeIfPossible(database, () => {
        for (const { repository, digest, at } of pulls) {
          const id = repositoryID(database, repository)
          if (id === undefined) continue
          database.run(PULLED_MANIFEST, at, id, digest)
          database.run(PULLED_REPOSITORY, at, id)
        }
      })
    },
  }
}

const PULLED_MANIFEST =
  'UPDATE manifests SET pulled_at = max(pulled_at, ?) WHERE repository = ? AND digest = ?'
const PULLED_REPOSITORY = 'UPDATE repositories SET pulled_at = max(pulled_at, ?) WHERE id = ?'

const REPOSITORY = 'name, tag_count AS tagCount, bytes, pushed_at AS pushedAt, pulled_at AS pulledAt'

/** Newest or largest first; equal ones by name, from the last, so that one index gives the order. */
function repositoriesBy(column: string): string {
  return `SELECT ${REPOSITORY} FROM repositories WHERE (${column}, name) < (?, ?) AND instr(name, ?) > 0
    ORDER BY ${column} DESC, name DESC LIMIT ?`
}

const REPOSITORY_LISTS: Readonly<Record<RepositoryOrder, string>> = {
  name: `SELECT ${REPOSITORY} FROM repositories WHERE name > ? AND instr(name, ?) > 0 ORDER BY name LIMIT ?`,
  pushed: repositoriesBy('pushed_at'),
  pulled: repositoriesBy('pulled_at'),
  size: repositoriesBy('bytes'),
}

/** The values before the first row of an order: everything comes after the empty name, and before the largest number. */
function startOf(
  order: RepositoryOrder,
  after: Cursor | undefined,
): readonly [name: string] | readonly [value: number, name: string] {
  if (order === 'name') return [after?.name ?? '']
  return [after?.value ?? Number.MAX_SAFE_INTEGER, after?.name ?? '']
}

const MANIFEST = `m.digest, m.media_type AS mediaType, m.artifact_type AS artifactType, m.subject,
  m.pushed_at AS pushedAt, m.pulled_at AS pulledAt, m.bytes, m.image_created_at AS createdAt, m.platforms, m.labels,
  (SELECT count(*) FROM (SELECT 1 FROM manifests x WHERE x.repository = m.repository AND x.subject = m.digest
                         LIMIT ${MAX_REFERRERS})) AS referrers`

const TAGS = `SELECT t.tag, t.updated_at AS taggedAt, ${MANIFEST} FROM tags t JOIN manifests m ON m.id = t.manifest
  WHERE t.repository = ?`

const TAG_LISTS = {
  name: `${TAGS} AND t.tag > ? ORDER BY t.tag LIMIT ?`,
  pushed: `${TAGS} AND (t.updated_at, t.tag) < (?, ?) ORDER BY t.updated_at DESC, t.tag DESC LIMIT ?`,
} as const

interface ManifestRow {
  readonly digest: Digest
  readonly mediaType: string
  readonly artifactType: string | null
  readonly subject: Digest | null
  readonly pushedAt: number
  readonly pulledAt: number
  readonly bytes: number | null
  readonly createdAt: number | null
  readonly platforms: string | null
  readonly labels: string | null
  readonly referrers: number
}

interface TagRow extends ManifestRow {
  readonly tag: Tag
  readonly taggedAt: number
}

function manifestEntry(row: ManifestRow): ManifestEntry {
  const { digest, mediaType, artifactType, subject, pushedAt, pulledAt, bytes, createdAt, referrers } = row
  return {
    digest,
    mediaType,
    ...(artifactType !== null && { artifactType }),
    ...(subject !== null && { subject }),
    pushedAt,
    pulledAt,
    ...(bytes !== null && { bytes }),
    ...(createdAt !== null && { createdAt }),
    platforms: row.platforms === null ? [] : JSON.parse(row.platforms),
    labels: row.labels === null ? {} : JSON.parse(row.labels),
    referrers,
  }
}
