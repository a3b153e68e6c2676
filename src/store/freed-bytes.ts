import type { Digest } from '../oci/digest.ts'
import type { RepositoryName, Tag } from '../oci/reference.ts'
import type { Database } from './database.ts'

/** Beyond so many manifests a tag is not looked at further: one call must not hold up all others. */
const MAX_MANIFESTS = 2000

/**
 * What garbage collection would free in the end if the tag were deleted: the content that only this image needs, in all
 * of the store. 0 while another tag, an index or a subject holds the image. Undefined for an unknown tag, and for an
 * image of more manifests than can be looked at quickly.
 */
export function bytesFreedByTag(
  database: Database,
  repository: RepositoryName,
  tag: Tag,
): number | undefined {
  const root = database.one<Node>(
    `SELECT m.id, m.digest, m.repository, m.subject FROM repositories r
       JOIN tags t ON t.repository = r.id AND t.tag = ? JOIN manifests m ON m.id = t.manifest
     WHERE r.name = ?`,
    tag,
    repository,
  )
  if (root === undefined) return undefined
  if (tagCount(database, root, 2) > 1) return 0
  const going = new Set<number>()
  const waiting = [root]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (going.has(node.id) || (node !== root && tagCount(database, node, 1) > 0)) continue
    if (isHeld(database, node, going)) continue
    going.add(node.id)
    if (going.size > MAX_MANIFESTS) return undefined
    waiting.push(...dependents(database, node, MAX_MANIFESTS))
  }
  return bytesOnlyNeededBy(database, going, [...going])
}

interface Node {
  readonly id: number
  readonly digest: Digest
  readonly repository: number
  readonly subject: Digest | null
}

function tagCount(database: Database, { id }: Node, limit: number): number {
  return database.all('SELECT 1 FROM tags WHERE manifest = ? LIMIT ?', id, limit).length
}

/** True when an index, or a subject, that does not go keeps the manifest. */
function isHeld(database: Database, node: Node, going: ReadonlySet<number>): boolean {
  const holders = database.all<{ id: number }>(
    `SELECT p.id FROM manifest_references r JOIN manifests p ON p.id = r.manifest
     WHERE r.digest = ?1 AND p.repository = ?2
     UNION ALL SELECT id FROM manifests WHERE repository = ?2 AND digest = ?3
     LIMIT ?4`,
    node.digest,
    node.repository,
    node.subject,
    going.size + 2,
  )
  return holders.some(({ id }) => !going.has(id))
}

/** Children and referrers: what this manifest keeps. */
function dependents(database: Database, node: Node, limit: number): readonly Node[] {
  return database.all<Node>(
    `SELECT m.id, m.digest, m.repository, m.subject FROM manifest_references r
       JOIN manifests m ON m.repository = ?1 AND m.digest = r.digest WHERE r.manifest = ?2
     UNION ALL SELECT id, digest, repository, subject FROM manifests WHERE repository = ?1 AND subject = ?3
     LIMIT ?4`,
    node.repository,
    node.id,
    node.digest,
    limit,
  )
}

/**
 * The stored bytes that some of these manifests need, and no manifest besides all that go and no build cache.
 * @param going rows of all manifests that go
 * @param counted those of them whose content is counted; a digest that two calls count must be left out by the caller
 * @param seen digests that were looked at; grows
 */
export function bytesOnlyNeededBy(
  database: Database,
  going: ReadonlySet<number>,
  counted: readonly number[],
  seen: Set<Digest> = new Set(),
): number {
  let bytes = 0
  for (const id of counted) {
    const needed = database.all<{ digest: Digest; size: number }>(
      `SELECT b.digest, b.size FROM
         (SELECT digest FROM manifests WHERE id = ?1 UNION ALL SELECT digest FROM manifest_references WHERE manifest = ?1) n
       CROSS JOIN blobs b ON b.digest = n.digest`,
      id,
    )
    for (const { digest, size } of needed) {
      if (seen.has(digest)) continue
      seen.add(digest)
      if (!isNeededElsewhere(database, digest, going)) bytes += size
    }
  }
  return bytes
}

function isNeededElsewhere(database: Database, digest: Digest, going: ReadonlySet<number>): boolean {
  // Who asks for one more than go has asked for one that stays, if there is one.
  const users = database.all<{ id: number }>(
    `SELECT id FROM manifests WHERE digest = ?1
     UNION ALL SELECT manifest FROM manifest_references WHERE digest = ?1 LIMIT ?2`,
    digest,
    2 * going.size + 1,
  )
  return (
    users.some(({ id }) => !going.has(id)) ||
    database.one('SELECT 1 FROM cache_records WHERE layer = ?', digest) !== undefined
  )
}
