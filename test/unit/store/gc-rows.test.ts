import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { sweepRepositories } from '../../../src/store/gc-rows.ts'
import type { DiskStore } from '../../../src/store/open.ts'
import { HOUR_MS, repository, tag, temporaryStore } from './support.ts'

const APP = repository('app')
const IMAGES = 400
const CHAIN = 1000
/** Rows that one transaction may take. */
const MOST = 600

/** Rows only: nobody reads bytes here. */
function putBlob({ disk }: DiskStore, name: string): Digest {
  const digest = digestOf(name)
  disk.database.run('INSERT INTO blobs (digest, size, touched_at) VALUES (?, 1, ?)', digest, disk.now())
  return digest
}

function putImage(store: DiskStore, name: string, references: readonly Digest[]): Digest {
  const digest = putBlob(store, name)
  store.metadata.putManifest(APP, { digest, mediaType: MEDIA_TYPE.ociManifest, size: 1, references }, [])
  return digest
}

/** As they are pushed: children come before the indexes that need them. */
function putIndexes(store: DiskStore): readonly Digest[] {
  store.disk.database.exec('PRAGMA synchronous = OFF')
  const numbers = Array.from({ length: IMAGES }, (_, number) => number)
  const children = numbers.map(number =>
    putImage(store, `image ${number}`, [putBlob(store, `blob ${number}`)]),
  )
  return children.map((child, number) => putImage(store, `index ${number}`, [child]))
}

/** Each refers to the one before it; the last of the chain is pushed first. */
function putReferrers(store: DiskStore): readonly Digest[] {
  store.disk.database.exec('PRAGMA synchronous = OFF')
  const digests = Array.from({ length: CHAIN }, (_, number) => digestOf(`referrer ${number}`))
  for (const [number, subject] of [undefined, ...digests.slice(0, -1)].entries().toArray().reverse()) {
    const record = { mediaType: MEDIA_TYPE.ociManifest, size: 1, references: [], ...(subject && { subject }) }
    store.metadata.putManifest(APP, { digest: putBlob(store, `referrer ${number}`), ...record }, [])
  }
  return digests
}

const BROKEN = `
  SELECT r.digest FROM manifests m JOIN manifest_references r ON r.manifest = m.id
  WHERE NOT EXISTS (SELECT 1 FROM manifests child WHERE child.digest = r.digest)
    AND NOT EXISTS (SELECT 1 FROM links WHERE links.digest = r.digest)`

function countRows({ disk }: DiskStore): number {
  const count = 'SELECT (SELECT count(*) FROM manifests) + (SELECT count(*) FROM links) AS rows'
  return disk.database.one<{ rows: number }>(count)?.rows ?? 0
}

/** Sweeps all there is, and asserts of each transaction that it is short and leaves nothing broken. */
function sweepInSteps(store: DiskStore, untouchedSince: number): void {
  let rows = countRows(store)
  for (const _ of sweepRepositories(store.disk.database, untouchedSince)) {
    const left = countRows(store)
    assert.ok(rows - left <= MOST, `${rows - left} rows at once`)
    rows = left
    assert.deepEqual(store.disk.database.all(BROKEN), [])
  }
  assert.equal(rows, 0)
}

describe('sweepRepositories()', () => {
  it('takes a repository of many manifests in short transactions, and never the child before its index', async t => {
    const { store, clock } = await temporaryStore(t)
    putIndexes(store)
    clock.pass(2 * HOUR_MS)
    sweepInSteps(store, clock.time - HOUR_MS)
    assert.deepEqual(store.metadata.listRepositories(), [])
  })

  it('keeps whole what others ask for or tag while it goes on', async t => {
    const { store, clock } = await temporaryStore(t)
    const indexes = putIndexes(store)
    clock.pass(2 * HOUR_MS)
    const kept = new Set<Digest>()
    let step = 0
    for (const _ of sweepRepositories(store.disk.database, clock.time - HOUR_MS)) {
      const index = indexes.filter(digest => !kept.has(digest)).at(-1 - step)
      const record = index && store.metadata.getManifest(APP, index)
      if (record === undefined) continue
      kept.add(record.digest)
      if (step++ % 2 === 0) continue
      store.metadata.putManifest(APP, record, [tag(`tag-${step}`)])
      store.disk.database.run('UPDATE manifests SET touched_at = 0 WHERE digest = ?', record.digest)
    }
    assert.ok(kept.size > 1, 'one that was asked for, and one that was tagged')
    assert.deepEqual(
      indexes.filter(digest => store.metadata.getManifest(APP, digest) !== undefined),
      indexes.filter(digest => kept.has(digest)),
    )
    assert.deepEqual(store.disk.database.all(BROKEN), [])
    // An index, its child, and a link to what each needs.
    assert.equal(countRows(store), 4 * kept.size)
  })

  it('takes a chain of referrers in short transactions, the last of which was pushed first', async t => {
    const { store, clock } = await temporaryStore(t)
    putReferrers(store)
    clock.pass(2 * HOUR_MS)
    sweepInSteps(store, clock.time - HOUR_MS)
  })

  it('keeps all of a chain of referrers that is tagged while it goes on, but what was gone by then', async t => {
    const { store, clock } = await temporaryStore(t)
    const referrers = putReferrers(store)
    clock.pass(2 * HOUR_MS)
    const isThere = (digest: Digest): boolean =>
      store.disk.database.one('SELECT 1 FROM manifests WHERE digest = ?', digest) !== undefined
    let kept: readonly Digest[] = []
    for (const _ of sweepRepositories(store.disk.database, clock.time - HOUR_MS)) {
      if (kept.length > 0 || isThere(referrers[0] ?? digestOf('none'))) continue
      kept = referrers.filter(isThere)
      const first = store.metadata.getManifest(APP, kept[0] ?? digestOf('none'))
      assert.ok(first)
      store.metadata.putManifest(APP, first, [tag('alive')])
      store.disk.database.run('UPDATE manifests SET touched_at = 0')
    }
    assert.ok(kept.length > 0 && kept.length < CHAIN, `${kept.length} left`)
    assert.deepEqual(referrers.filter(isThere), kept)
  })

  it('takes an index that refers to its own child', async t => {
    const { store, clock } = await temporaryStore(t)
    const child = putImage(store, 'child', [putBlob(store, 'blob')])
    const index = { digest: putBlob(store, 'index'), mediaType: MEDIA_TYPE.ociIndex, size: 1, subject: child }
    store.metadata.putManifest(APP, { ...index, references: [child] }, [])
    clock.pass(2 * HOUR_MS)
    for (const _ of sweepRepositories(store.disk.database, clock.time - HOUR_MS))
      assert.deepEqual(store.disk.database.all(BROKEN), [])
    assert.equal(countRows(store), 0)
  })
})
