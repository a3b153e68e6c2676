/**
 * The part of garbage collection that happens in the database. Each generator does one short transaction per step,
 * so that its caller can let others work in between.
 */
import type { BlobInfo } from '../oci/content.ts'
import type { Database } from './database.ts'
import { dropEmptyRepository } from './repository-rows.ts'

/**
 * Manifests that do not live, then links that no manifest needs, then repositories that hold nothing. What is forgotten
 * of it when the machine stops is for the next run; bytes go after durable transactions only.
 */
export function* sweepRepositories(database: Database, cutoff: number): Generator<void> {
  const ids = database.all<{ id: number }>('SELECT id FROM repositories ORDER BY id')
  for (const { id } of ids) {
    yield* sweepManifests(database, id, cutoff)
    yield* sweepLinks(database, id, cutoff)
    database.write(() => dropEmptyRepository(database, id))
    yield
  }
}

/**
 * Which manifests are dead is read without the write lock, and decided for each again in the transaction that deletes
 * it: others may have asked for it meanwhile, or have tagged an index that needs it.
 */
function* sweepManifests(database: Database, repository: number, cutoff: number): Generator<void> {
  const dead = database.all<{ id: number }>(DEAD_MANIFESTS, repository, cutoff)
  const spared = new Set<number>()
  for (const window of keepersFirst(database, new Set(dead.map(({ id }) => id)))) {
    yield
    if (window.length === 0) continue
    database.write(() => {
      for (const id of window) deleteDead(database, id, cutoff, spared)
    }, 'relaxed')
  }
}

/**
 * The manifests in windows, each after those that can keep it: one by one they have no keeper left, where the last of a
 * chain of referrers would take all the others into its transaction. A window is empty where finding the next takes long.
 */
function* keepersFirst(database: Database, ids: ReadonlySet<number>): Generator<readonly number[]> {
  const isOrdered = new Map<number, boolean>()
  let window: number[] = []
  for (const start of ids) {
    const climb = [start]
    for (let id = climb.at(-1); id !== undefined; id = climb.at(-1)) {
      if (!isOrdered.has(id)) {
        isOrdered.set(id, false)
        for (const keeper of directKeepers(database, id))
          if (ids.has(keeper) && !isOrdered.has(keeper)) climb.push(keeper)
        if (isOrdered.size % WINDOW === 0) yield []
        continue
      }
      climb.pop()
      if (isOrdered.get(id) === true) continue
      isOrdered.set(id, true)
      window.push(id)
      if (window.length < WINDOW) continue
      yield window
      window = []
    }
  }
  yield window
}

function directKeepers(database: Database, id: number): readonly number[] {
  return database.all<{ id: number }>(DIRECT_KEEPERS, id).map(row => row.id)
}

/**
 * What would keep a dead manifest alive is dead as well, and goes in the same transaction: an index is whole, or not
 * there, for whoever asks for it between two transactions.
 * @param spared those found alive, and what they keep: a chain that came to life is not climbed again for each
 */
function deleteDead(database: Database, id: number, cutoff: number, spared: Set<number>): void {
  if (spared.size > 0 && directKeepers(database, id).some(keeper => spared.has(keeper))) {
    spared.add(id)
    return
  }
  const keepers = database.all<{ id: number; isRoot: number }>(KEEPERS, id, cutoff)
  if (keepers.some(({ isRoot }) => isRoot === 1)) spared.add(id)
  else for (const keeper of keepers) database.run('DELETE FROM manifests WHERE id = ?', keeper.id)
}

function* sweepLinks(database: Database, repository: number, cutoff: number): Generator<void> {
  for (let after: string | undefined = ''; after !== undefined; ) {
    yield
    const start: string = after
    const end = database.one<{ digest: string }>(WINDOW_END, repository, start)?.digest
    database.write(() => database.run(DELETE_DEAD_LINKS, repository, cutoff, start, end ?? LAST), 'relaxed')
    after = end
  }
}

/** Blobs that nothing in the database needs and nobody touched since the cutoff, in byte order. */
export function* sweepBlobs(database: Database, cutoff: number): Generator<readonly BlobInfo[]> {
  let after = ''
  while (true) {
    const window = database.all<BlobInfo>(
      'SELECT digest, size FROM blobs WHERE digest > ? AND touched_at < ? ORDER BY digest LIMIT ?',
      after,
      cutoff,
      WINDOW,
    )
    const last = window.at(-1)
    if (last === undefined) return
    after = last.digest
    yield database.write(() => window.filter(blob => deleteUnneeded(database, blob, cutoff)))
  }
}

/** Tables of contents whose layers are all gone. */
export function sweepTocs(database: Database): void {
  database.write(() => {
    database.run(
      'DELETE FROM tocs WHERE NOT EXISTS (SELECT 1 FROM layers WHERE layers.diff_id = tocs.diff_id)',
    )
  })
}

/** Rows in a transaction: some milliseconds. */
const WINDOW = 256

/**
 * A manifest lives when it is tagged or was touched, and so do its children and its referrers, and theirs. (A
 * referrer keeps nothing alive but its own children: its subject may go, and then it goes too.) ?1 is the repository,
 * ?2 the cutoff.
 */
export const LIVE_MANIFESTS = `
  WITH RECURSIVE live(id) AS (
    SELECT id FROM manifests m WHERE m.repository = ?1
      AND (m.touched_at >= ?2 OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest = m.id))
    UNION
    SELECT child.id FROM live
      JOIN manifest_references r ON r.manifest = live.id
      JOIN manifests child ON child.repository = ?1 AND child.digest = r.digest
    UNION
    SELECT referrer.id FROM live
      JOIN manifests subject ON subject.id = live.id
      JOIN manifests referrer ON referrer.repository = ?1 AND referrer.subject = subject.digest
  )`

const DEAD_MANIFESTS = `${LIVE_MANIFESTS}
  SELECT id FROM manifests WHERE repository = ?1 AND id NOT IN live ORDER BY id`

/** The manifest ?1 and all that can keep it alive: the same rule, from the other end. ?2 is the cutoff. */
const KEEPERS = `
  WITH RECURSIVE keepers(id) AS (
    VALUES (?1)
    UNION
    SELECT parent.id FROM keepers
      JOIN manifests m ON m.id = keepers.id
      JOIN manifest_references r ON r.digest = m.digest
      JOIN manifests parent ON parent.id = r.manifest AND parent.repository = m.repository
    UNION
    SELECT subject.id FROM keepers
      JOIN manifests m ON m.id = keepers.id
      JOIN manifests subject ON subject.repository = m.repository AND subject.digest = m.subject
  )
  SELECT m.id, m.touched_at >= ?2 OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest = m.id) AS isRoot
    FROM keepers JOIN manifests m ON m.id = keepers.id`

/** Of those, the next to the manifest ?1. (`CROSS` keeps SQLite from looking at all manifests of the repository.) */
const DIRECT_KEEPERS = `
  SELECT parent.id FROM manifests m
    CROSS JOIN manifest_references r ON r.digest = m.digest
    CROSS JOIN manifests parent ON parent.id = r.manifest AND parent.repository = m.repository
    WHERE m.id = ?1
  UNION
  SELECT subject.id FROM manifests m
    JOIN manifests subject ON subject.repository = m.repository AND subject.digest = m.subject
    WHERE m.id = ?1`

const WINDOW_END = `
  SELECT digest FROM links WHERE repository = ? AND digest > ? ORDER BY digest LIMIT 1 OFFSET ${WINDOW - 1}`

/** Behind all digests. */
const LAST = '~'

/** Of those from ?3 (without it) to ?4. */
const DELETE_DEAD_LINKS = `
  DELETE FROM links WHERE repository = ?1 AND touched_at < ?2 AND digest > ?3 AND digest <= ?4
    AND NOT EXISTS (SELECT 1 FROM manifest_references r JOIN manifests m ON m.id = r.manifest
                    WHERE r.digest = links.digest AND m.repository = ?1)`

/** All of `sweepRepositories` for one that is small; to be called in a transaction. */
export function sweepRepository(database: Database, id: number, cutoff: number): void {
  for (const dead of database.all<{ id: number }>(DEAD_MANIFESTS, id, cutoff))
    database.run('DELETE FROM manifests WHERE id = ?', dead.id)
  database.run(DELETE_DEAD_LINKS, id, cutoff, '', LAST)
  dropEmptyRepository(database, id)
}

/** True when nothing needed the blob, and its row is gone; to be called in a transaction. */
export function deleteUnneeded(database: Database, { digest }: BlobInfo, cutoff: number): boolean {
  return (
    database.run(
      `DELETE FROM blobs WHERE digest = ?1 AND touched_at < ?2
         AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?1)
         AND NOT EXISTS (SELECT 1 FROM manifest_references WHERE digest = ?1)
         AND NOT EXISTS (SELECT 1 FROM links WHERE digest = ?1)
         AND NOT EXISTS (SELECT 1 FROM cache_records WHERE layer = ?1)`,
      digest,
      cutoff,
    ) > 0
  )
}
