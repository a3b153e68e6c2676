/**
 * Holds what was cached of other registries to a size. What is counted and what goes is content that only the
 * repositories of those registries need: what our own repositories or cache records share with them stays, and costs
 * nothing here. What goes is whole images, the one that was not asked for the longest first, by the rules of garbage
 * collection: rows first, bytes later. An image that somebody here tagged is nobody's cache, and stays.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BlobInfo } from '../oci/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { Database } from './database.ts'
import { deleteUnneeded, sweepRepository } from './gc-rows.ts'
import { type PublishDeps, removeBytes } from './publish.ts'

export interface EvictOptions {
  /** The registries whose images are a cache: `docker.io`. */
  readonly hosts: readonly string[]
  readonly maxBytes: number
  /** What was asked for since stays, whatever the size. Milliseconds. */
  readonly graceMs: number
  readonly signal: AbortSignal
}

export interface EvictReport {
  /** Cached before, in bytes. */
  readonly before: number
  readonly freed: number
  readonly images: number
}

/** @throws StoreError; the signal's reason */
export async function evictCached(disk: PublishDeps, options: EvictOptions): Promise<EvictReport> {
  const { database } = disk
  const repositories = options.hosts.flatMap(host => repositoriesOf(database, host))
  const before = await cachedBytes(database, repositories, options.signal)
  let freed = 0
  let images = 0
  if (before <= options.maxBytes) return { before, freed, images }
  const cutoff = disk.now() - options.graceMs
  for (const image of await idleImages(database, repositories, cutoff, options.signal)) {
    if (before - freed <= options.maxBytes) break
    options.signal.throwIfAborted()
    const removed = database.write(() => dropImage(database, image, cutoff))
    await removeBytes(
      disk,
      removed.map(blob => blob.digest),
    )
    freed += removed.reduce((sum, { size }) => sum + size, 0)
    images++
  }
  return { before, freed, images }
}

/** A name that begins with the host; `0` follows `/`. */
function repositoriesOf(database: Database, host: string): readonly number[] {
  return database
    .all<{ id: number }>('SELECT id FROM repositories WHERE name >= ? AND name < ?', `${host}/`, `${host}0`)
    .map(row => row.id)
}

const WINDOW = 512

/** Looks at every blob, a window at a time. */
async function cachedBytes(
  database: Database,
  repositories: readonly number[],
  signal: AbortSignal,
): Promise<number> {
  const ids = JSON.stringify(repositories)
  let bytes = 0
  let after = ''
  while (true) {
    signal.throwIfAborted()
    const rows = database.all<BlobInfo & { isCached: number }>(CACHED, after, WINDOW, ids)
    bytes += rows.reduce((sum, { size, isCached }) => sum + size * isCached, 0)
    const last = rows.at(-1)
    if (last === undefined || rows.length < WINDOW) return bytes
    after = last.digest
    await nextTurn()
  }
}

const CACHED = `
  WITH cache(id) AS MATERIALIZED (SELECT value FROM json_each(?3))
  SELECT b.digest, b.size,
    (EXISTS (SELECT 1 FROM links l WHERE l.digest = b.digest AND l.repository IN cache)
      OR EXISTS (SELECT 1 FROM manifests m WHERE m.digest = b.digest AND m.repository IN cache))
    AND NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = b.digest AND l.repository NOT IN cache)
    AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = b.digest AND m.repository NOT IN cache)
    AND NOT EXISTS (SELECT 1 FROM cache_records c WHERE c.layer = b.digest) AS isCached
  FROM blobs b WHERE b.digest > ?1 ORDER BY b.digest LIMIT ?2`

interface CachedImage {
  readonly id: number
  readonly repository: number
  readonly usedAt: number
}

/** The images of which no part was asked for since the cutoff, the longest idle first. */
async function idleImages(
  database: Database,
  repositories: readonly number[],
  cutoff: number,
  signal: AbortSignal,
): Promise<readonly CachedImage[]> {
  const images: CachedImage[] = []
  for (const repository of repositories) {
    signal.throwIfAborted()
    images.push(...database.all<CachedImage>(IDLE, repository, cutoff))
    await nextTurn()
  }
  return images.sort((a, b) => a.usedAt - b.usedAt)
}

/**
 * Of one repository: manifests that nothing in it points at, all of whose tags (if any) are as their registry had
 * them. An image is as young as its youngest platform.
 */
const IDLE = `
  SELECT id, repository, usedAt FROM (
    SELECT m.id, m.repository, max(m.touched_at, coalesce((
        SELECT max(child.touched_at) FROM manifest_references r
        JOIN manifests child ON child.repository = m.repository AND child.digest = r.digest
        WHERE r.manifest = m.id), 0)) AS usedAt
    FROM manifests m
    WHERE m.repository = ?1
      AND NOT EXISTS (SELECT 1 FROM manifest_references r JOIN manifests parent ON parent.id = r.manifest
                      WHERE r.digest = m.digest AND parent.repository = ?1)
      AND NOT EXISTS (SELECT 1 FROM tags t LEFT JOIN upstream_tags u ON u.repository = t.repository AND u.tag = t.tag
                      WHERE t.manifest = m.id AND u.digest IS NOT m.digest))
  WHERE usedAt < ?2`

/** Takes the image, with its tags, out of its repository, and what nothing else needs out of the store. */
function dropImage(database: Database, { id, repository }: CachedImage, cutoff: number): readonly BlobInfo[] {
  const content = database.all<BlobInfo & { digest: Digest }>(CONTENT, id, repository)
  database.run('DELETE FROM manifests WHERE id = ?', id)
  sweepRepository(database, repository, cutoff)
  return content.filter(blob => deleteUnneeded(database, blob, cutoff))
}

const CONTENT = `
  WITH RECURSIVE tree(id) AS (
    SELECT ?1
    UNION
    SELECT child.id FROM tree JOIN manifest_references r ON r.manifest = tree.id
      JOIN manifests child ON child.repository = ?2 AND child.digest = r.digest)
  SELECT b.digest, b.size FROM blobs b WHERE b.digest IN (
    SELECT digest FROM manifests WHERE id IN tree
    UNION SELECT digest FROM manifest_references WHERE manifest IN tree)`
