import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import type { RepositoryName, Tag } from '../../../src/oci/reference.ts'
import type { Database } from '../../../src/store/database.ts'
import { describeManifests } from '../../../src/store/describe.ts'
import { collectGarbage } from '../../../src/store/gc.ts'
import { nameImage } from '../../../src/store/images.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import { MIGRATIONS } from '../../../src/store/schema.ts'
import { HOUR_MS, NO_SIGNAL, putContent, repository, tag, temporaryStore } from './support.ts'

const APP = repository('team/app')

interface Image {
  readonly digest: Digest
  readonly mediaType: string
  readonly size: number
  /** Manifest, config and layers. */
  readonly total: number
  readonly config: Digest
}

async function putImage(store: DiskStore, layers: readonly string[], architecture = 'amd64'): Promise<Image> {
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture,
      created: '2024-05-06T07:08:09Z',
      config: { Labels: { 'org.opencontainers.image.version': '1.2', other: 'x' } },
      rootfs: { type: 'layers', diff_ids: layers.map(layer => digestOf(Buffer.from(layer))) },
    }),
  )
  for (const layer of layers) await putContent(store.content, layer)
  const configDigest = await putContent(store.content, config)
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: { mediaType: MEDIA_TYPE.ociConfig, digest: configDigest, size: config.length },
      layers: layers.map(layer => ({
        mediaType: MEDIA_TYPE.ociLayer,
        digest: digestOf(Buffer.from(layer)),
        size: layer.length,
      })),
    }),
  )
  const digest = await putContent(store.content, manifest)
  const layerBytes = [...new Set(layers)].reduce((sum, layer) => sum + layer.length, 0)
  return {
    digest,
    mediaType: MEDIA_TYPE.ociManifest,
    size: manifest.length,
    total: manifest.length + config.length + layerBytes,
    config: configDigest,
  }
}

async function putIndex(store: DiskStore, images: readonly (readonly [string, Image])[]): Promise<Image> {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociIndex,
      manifests: images.map(([architecture, { digest, mediaType, size }]) => ({
        mediaType,
        digest,
        size,
        platform: { os: architecture === 'unknown' ? 'unknown' : 'linux', architecture },
      })),
    }),
  )
  const digest = await putContent(store.content, bytes)
  return { digest, mediaType: MEDIA_TYPE.ociIndex, size: bytes.length, total: 0, config: digest }
}

/** The kept numbers, computed anew from what the store holds. */
function assertTrue(database: Database): void {
  const wrong = database.all(
    `SELECT name, bytes, (SELECT coalesce(sum(size), 0) FROM blobs WHERE digest IN (
        SELECT digest FROM links WHERE repository = r.id UNION SELECT digest FROM manifests WHERE repository = r.id)) AS want,
      tag_count, (SELECT count(*) FROM tags WHERE repository = r.id) AS wantTags
     FROM repositories r`,
  ) as { bytes: number; want: number; tag_count: number; wantTags: number }[]
  for (const row of wrong) assert.deepEqual([row.bytes, row.tag_count], [row.want, row.wantTags])
  const totals = database.one('SELECT count(*) AS blobs, coalesce(sum(size), 0) AS bytes FROM blobs')
  assert.deepEqual(database.one('SELECT blobs, bytes FROM totals'), totals)
  for (const { prefix, bytes } of database.all<{ prefix: string; bytes: number }>(
    'SELECT * FROM quota_usage',
  )) {
    const want = database.one<{ bytes: number }>(
      `SELECT coalesce(sum(size), 0) AS bytes FROM blobs WHERE digest IN (
         SELECT h.digest FROM (SELECT repository, digest FROM links UNION SELECT repository, digest FROM manifests) h
         JOIN repositories r ON r.id = h.repository WHERE ?1 = '*' OR r.name = ?1 OR r.name LIKE ?1 || '/%')`,
      prefix,
    )
    assert.equal(bytes, want?.bytes, `quota ${prefix}`)
  }
}

async function openWithQuotas(t: TestContext, prefixes: readonly string[]): Promise<DiskStore> {
  const { root, clock } = await temporaryStore(t)
  const quotas = prefixes.map(prefix => ({ prefix, limit: 1e12 }))
  const store = await openStore({ root, now: clock.now, rules: { isImmutable: () => false, quotas } })
  t.after(() => store[Symbol.dispose]())
  return store
}

describe('inventory', () => {
  it('tells of an image its size, platform, dates and labels, as they were when it was put', async t => {
    const { store, clock } = await temporaryStore(t)
    const image = await putImage(store, ['layer one', 'two', 'two'])
    await nameImage(store, APP, image, [tag('1')])
    const [entry] = store.inventory.listTags(APP, { order: 'pushed', limit: 10 }) ?? []
    assert.deepEqual(entry, {
      tag: '1',
      taggedAt: clock.time,
      digest: image.digest,
      mediaType: MEDIA_TYPE.ociManifest,
      artifactType: MEDIA_TYPE.ociConfig,
      pushedAt: clock.time,
      pulledAt: 0,
      bytes: image.total,
      createdAt: Date.parse('2024-05-06T07:08:09Z'),
      platforms: [{ platform: 'linux/amd64', digest: image.digest, bytes: image.total }],
      labels: { 'org.opencontainers.image.version': '1.2' },
      referrers: 0,
    })
  })

  it('counts in an index what its platforms share once, and leaves attestations out of its platforms', async t => {
    const { store } = await temporaryStore(t)
    const amd64 = await putImage(store, ['shared layer', 'for amd64'])
    const arm64 = await putImage(store, ['shared layer', 'for arm64'], 'arm64')
    const attestation = await putImage(store, ['statement'], 'none')
    const index = await putIndex(store, [
      ['amd64', amd64],
      ['arm64', arm64],
      ['unknown', attestation],
    ])
    await nameImage(store, APP, index, [tag('1')])
    const entry = store.inventory.getManifest(APP, index.digest)
    assert.equal(
      entry?.bytes,
      index.size + amd64.total + arm64.total + attestation.total - 'shared layer'.length,
    )
    assert.deepEqual(entry?.platforms, [
      { platform: 'linux/amd64', digest: amd64.digest, bytes: amd64.total },
      { platform: 'linux/arm64', digest: arm64.digest, bytes: arm64.total },
    ])
    assert.equal(entry?.createdAt, Date.parse('2024-05-06T07:08:09Z'))
  })

  it('describes an index anew when a platform comes later', async t => {
    const { store } = await temporaryStore(t)
    const amd64 = await putImage(store, ['a'])
    const index = await putIndex(store, [['amd64', amd64]])
    const manifest = parseManifest(
      Buffer.from(await (await store.content.open(index.digest)).toArray().then(Buffer.concat)),
    )
    assert.equal(manifest.kind, 'index')
    store.metadata.putManifest(
      APP,
      {
        digest: index.digest,
        mediaType: index.mediaType,
        size: index.size,
        references: [amd64.digest],
        optional: [amd64.digest],
        details: { platforms: [{ platform: 'linux/amd64', digest: amd64.digest }], labels: {} },
      },
      [tag('1')],
    )
    await nameImage(store, APP, amd64, [])
    assert.equal(await describeManifests(store, NO_SIGNAL), 1)
    const entry = store.inventory.getManifest(APP, index.digest)
    assert.equal(entry?.platforms[0]?.bytes, amd64.total)
  })

  it('lists repositories by name, push, pull and size, in pages that miss and repeat none', async t => {
    const { store, clock } = await temporaryStore(t)
    for (let number = 0; number < 25; number++) {
      const name = repository(`r/${String(number % 7)}/${number}`)
      const image = await putImage(store, ['x'.repeat(1 + ((number * 37) % 11))])
      if (number % 3 > 0) clock.pass(1000)
      await nameImage(store, name, image, [tag('1'), tag('2')])
      store.inventory.recordPulls([{ repository: name, digest: image.digest, at: (number * 31) % 5 }])
    }
    const value = { pushed: 'pushedAt', pulled: 'pulledAt', size: 'bytes' } as const
    for (const order of ['name', 'pushed', 'pulled', 'size'] as const) {
      const seen = []
      let after: { value: number; name: string } | undefined
      while (true) {
        const page = store.inventory.listRepositories({ order, limit: 4, ...(after && { after }) })
        seen.push(...page)
        const last = page.at(-1)
        if (last === undefined) break
        after = { name: last.name, value: order === 'name' ? 0 : last[value[order]] }
      }
      assert.equal(new Set(seen.map(({ name }) => name)).size, 25, order)
      const keys = seen.map(entry => (order === 'name' ? entry.name : -entry[value[order]]))
      const sorted = keys.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
      assert.deepEqual(keys, sorted, order)
    }
    const found = store.inventory.listRepositories({ order: 'pushed', search: '/3/', limit: 100 })
    assert.deepEqual(found.map(({ name }) => name).toSorted(), ['r/3/10', 'r/3/17', 'r/3/24', 'r/3/3'])
    assert.deepEqual(store.inventory.listRepositories({ order: 'name', search: '%', limit: 9 }), [])
  })

  it('keeps sizes, counts and quotas true through random pushes, deletes and collections', async t => {
    const store = await openWithQuotas(t, ['a', 'a/b', '*'])
    let state = 7
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return (state >>> 16) % below
    }
    const names = ['a', 'a/b', 'a/b/c', 'ab', 'c'].map(repository)
    const pick = (): RepositoryName => names[random(names.length)] ?? APP
    const pickTag = (): Tag => tag(String(random(4)))
    for (let step = 0; step < 150; step++) {
      const name = pick()
      const action = random(10)
      if (action < 4) {
        const image = await putImage(store, [`l${random(6)}`, `longer ${random(3)}`])
        const root = action === 0 ? await putIndex(store, [['amd64', image]]) : image
        await nameImage(store, name, root, random(3) === 0 ? [] : [pickTag()])
      } else if (action === 4) store.metadata.linkBlob(name, await putContent(store.content, `l${random(6)}`))
      else if (action === 5) store.metadata.deleteTag(name, pickTag())
      else if (action === 6) {
        const digest = store.metadata.getTag(name, pickTag())?.digest
        if (digest !== undefined) store.metadata.deleteManifest(name, digest)
      } else if (action === 7) await store.content.delete(digestOf(Buffer.from(`l${random(6)}`)))
      else if (action === 8)
        await collectGarbage(store, {
          olderThanMs: random(2) === 0 ? -HOUR_MS : HOUR_MS,
          dryRun: random(3) === 0,
          now: Date.now,
          signal: NO_SIGNAL,
        })
      assertTrue(store.disk.database)
    }
  })

  it('fills the rows of a store that is older than they are', async t => {
    const { store, root, clock } = await temporaryStore(t)
    const image = await putImage(store, ['old layer'])
    await nameImage(store, APP, image, [tag('1')])
    store[Symbol.dispose]()
    makeOld(join(root, 'metadata.db'))
    const reopened = await openStore({ root, now: clock.now })
    t.after(() => reopened[Symbol.dispose]())
    assertTrue(reopened.disk.database)
    assert.equal(reopened.inventory.getRepository(APP)?.tagCount, 1)
    assert.equal(reopened.inventory.getManifest(APP, image.digest)?.bytes, undefined)
    assert.equal(await describeManifests(reopened, NO_SIGNAL), 1)
    assert.equal(reopened.inventory.getManifest(APP, image.digest)?.bytes, image.total)
    assert.equal(await describeManifests(reopened, NO_SIGNAL), 0)
  })

  it('does not look again at a manifest whose bytes are lost', async t => {
    const { store } = await temporaryStore(t)
    const lost = await putContent(store.content, '{"schemaVersion":7}')
    store.metadata.putManifest(
      APP,
      { digest: lost, mediaType: MEDIA_TYPE.ociManifest, size: 19, references: [] },
      [],
    )
    assert.equal(await describeManifests(store, NO_SIGNAL), 1)
    assert.equal(store.inventory.getManifest(APP, lost)?.bytes, 19)
  })
})

/** Makes of a store one of the first version, with the same blobs, manifests and tags. */
function makeOld(path: string): void {
  renameSync(path, `${path}.new`)
  const database = new DatabaseSync(path)
  database.exec(`${MIGRATIONS[0]} PRAGMA application_id = ${0x534c5057}; PRAGMA user_version = 1`)
  database.exec(`ATTACH '${path}.new' AS new`)
  const columns = {
    blobs: 'digest, size, touched_at',
    repositories: 'id, name',
    manifests: 'id, repository, digest, media_type, size, touched_at',
    manifest_references: 'manifest, position, digest, optional',
    links: 'repository, digest, touched_at',
    tags: 'repository, tag, manifest, updated_at',
  }
  for (const [table, names] of Object.entries(columns))
    database.exec(`INSERT INTO ${table} (${names}) SELECT ${names} FROM new.${table}`)
  database.close()
}
