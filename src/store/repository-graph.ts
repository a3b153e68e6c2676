/**
 * Which manifests of one repository hold which. Read a page at a time, for what has to look at all of a repository
 * (retention); nothing that answers a request does.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Digest } from '../oci/digest.ts'
import { isIndex } from '../oci/media-type.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import type { Database } from './database.ts'
import { dropEmptyRepository, repositoryID } from './repository-rows.ts'

export interface ManifestNode {
  readonly id: number
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  readonly subject?: Digest
  readonly pushedAt: number
  /** 0 when nobody has pulled. */
  readonly pulledAt: number
  /** Of an index. */
  readonly children: readonly Digest[]
}

export interface TagNode {
  readonly tag: Tag
  readonly digest: Digest
  readonly taggedAt: number
}

export interface RepositoryGraph {
  readonly tags: readonly TagNode[]
  readonly manifests: ReadonlyMap<Digest, ManifestNode>
}

const PAGE = 500

/** Undefined for an unknown repository. */
export async function readRepositoryGraph(
  database: Database,
  repository: RepositoryName,
  signal: AbortSignal,
): Promise<RepositoryGraph | undefined> {
  const id = repositoryID(database, repository)
  if (id === undefined) return undefined
  const tags: TagNode[] = []
  for await (const page of pages(
    signal,
    '',
    after => listTags(database, id, after),
    last => last.tag,
  ))
    tags.push(...page)
  const manifests = new Map<Digest, ManifestNode>()
  for await (const page of pages(
    signal,
    0,
    after => listManifests(database, id, after),
    last => last.id,
  ))
    for (const row of page)
      manifests.set(row.digest, {
        id: row.id,
        digest: row.digest,
        mediaType: row.mediaType,
        size: row.size,
        ...(row.subject !== null && { subject: row.subject }),
        pushedAt: row.pushedAt,
        pulledAt: row.pulledAt,
        children: isIndex(row.mediaType) ? listChildren(database, row.id) : [],
      })
  return { tags, manifests }
}

async function* pages<Row, Cursor>(
  signal: AbortSignal,
  start: Cursor,
  list: (after: Cursor) => readonly Row[],
  cursorOf: (last: Row) => Cursor,
): AsyncGenerator<readonly Row[]> {
  let after = start
  while (true) {
    signal.throwIfAborted()
    const page = list(after)
    yield page
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = cursorOf(last)
    await nextTurn()
  }
}

function listTags(database: Database, repository: number, after: string): readonly TagNode[] {
  return database.all<TagNode>(
    `SELECT t.tag, m.digest, t.updated_at AS taggedAt FROM tags t JOIN manifests m ON m.id = t.manifest
     WHERE t.repository = ? AND t.tag > ? ORDER BY t.tag LIMIT ${PAGE}`,
    repository,
    after,
  )
}

interface ManifestRow {
  readonly id: number
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  readonly subject: Digest | null
  readonly pushedAt: number
  readonly pulledAt: number
}

function listManifests(database: Database, repository: number, after: number): readonly ManifestRow[] {
  return database.all<ManifestRow>(
    `SELECT id, digest, media_type AS mediaType, size, subject, pushed_at AS pushedAt, pulled_at AS pulledAt
     FROM manifests WHERE repository = ? AND id > ? ORDER BY id LIMIT ${PAGE}`,
    repository,
    after,
  )
}

function listChildren(database: Database, manifest: number): readonly Digest[] {
  return database
    .all<{ digest: Digest }>('SELECT digest FROM manifest_references WHERE manifest = ?', manifest)
    .map(row => row.digest)
}

/** The manifests that stay because these do: children of indexes, and what refers to one that stays; as gc decides it. */
export function liveManifests(
  { manifests }: Pick<RepositoryGraph, 'manifests'>,
  roots: Iterable<Digest>,
): Set<Digest> {
  const referrers = Map.groupBy(
    [...manifests.values()].filter(({ subject }) => subject !== undefined),
    ({ subject }) => subject,
  )
  const live = new Set<Digest>()
  const waiting = [...roots]
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    const manifest = manifests.get(digest)
    if (manifest === undefined || live.has(digest)) continue
    live.add(digest)
    waiting.push(...manifest.children)
    waiting.push(...(referrers.get(digest) ?? []).map(referrer => referrer.digest))
  }
  return live
}

/**
 * Removes a manifest that has no tag, that no other needs, and that nobody has touched since: all of which may have
 * changed since the repository was read. False when it stays.
 */
export function deleteUntagged(
  database: Database,
  repository: RepositoryName,
  digest: Digest,
  untouchedSince: number,
): boolean {
  return database.write(() => {
    const id = repositoryID(database, repository)
    if (id === undefined) return false
    const isGone = database.run(
      `DELETE FROM manifests WHERE repository = ?1 AND digest = ?2 AND touched_at < ?3
         AND NOT EXISTS (SELECT 1 FROM tags WHERE manifest = manifests.id)
         AND NOT EXISTS (SELECT 1 FROM manifest_references r JOIN manifests parent ON parent.id = r.manifest
                         WHERE r.digest = ?2 AND parent.repository = ?1)`,
      id,
      digest,
      untouchedSince,
    )
    if (isGone > 0) dropEmptyRepository(database, id)
    return isGone > 0
  })
}
