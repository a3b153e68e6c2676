import assert from 'node:assert/strict'
import { utimesSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { IngestID } from '../../../src/oci/content.ts'
import { type Digest, digestHex, digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { collectGarbage, type GarbageReport } from '../../../src/store/gc.ts'
import type { ManifestRecord } from '../../../src/store/metadata.ts'
import type { DiskStore } from '../../../src/store/open.ts'
import {
  chunked,
  filesOnDisk,
  HOUR_MS,
  layerTar,
  MINUTE_MS,
  NO_SIGNAL,
  putContent,
  rejectsWith,
  repository,
  type TestStore,
  tag,
  temporaryStore,
} from './support.ts'

const APP = repository('app')

/** Collects what was not touched for an hour. */
function collectOld({ store, clock }: TestStore, options: { dryRun?: boolean } = {}): Promise<GarbageReport> {
  return collectGarbage(store, {
    olderThanMs: HOUR_MS,
    dryRun: false,
    now: clock.now,
    signal: NO_SIGNAL,
    ...options,
  })
}

interface ImageOptions extends Partial<Omit<ManifestRecord, 'references'>> {
  readonly needs?: readonly (string | Digest)[]
  readonly tags?: readonly string[]
}

/** Stores a manifest made of its name, and what it needs: texts become blobs, digests are taken to be there. */
async function putImage(store: DiskStore, name: string, options: ImageOptions = {}): Promise<Digest> {
  const { needs = [], tags = [], ...fields } = options
  const digest = await putContent(store.content, name)
  const references = await Promise.all(
    needs.map(need => (need.startsWith('sha256:') ? (need as Digest) : putContent(store.content, need))),
  )
  const manifest = { digest, mediaType: MEDIA_TYPE.ociManifest, size: name.length, references, ...fields }
  store.metadata.putManifest(APP, manifest, tags.map(tag))
  return digest
}

/** What is stored, by text. */
async function stored(store: DiskStore, texts: readonly string[]): Promise<readonly string[]> {
  const digests = new Set<Digest>()
  for await (const { digest } of store.content.list()) digests.add(digest)
  return texts.filter(text => digests.has(digestOf(text)))
}

describe('collectGarbage()', () => {
  it('keeps tagged images and what they need, and takes the rest after the grace', async t => {
    const test = await temporaryStore(t)
    const { store, clock, root } = test
    await putImage(store, 'tagged', { needs: ['config', 'layer'], tags: ['latest'] })
    await putImage(store, 'untagged', { needs: ['layer', 'own layer'] })
    await putContent(store.content, 'loose')
    const garbage = ['untagged', 'own layer', 'loose'].map(text => digestOf(text)).sort()

    assert.deepEqual(await collectOld(test), { digests: [], bytes: 0, ingests: [] })
    clock.pass(2 * HOUR_MS)
    const wouldGo = await collectOld(test, { dryRun: true })
    assert.deepEqual(wouldGo, { digests: garbage, bytes: 'untaggedown layerloose'.length, ingests: [] })
    assert.equal(filesOnDisk(root).blobs.length, 6)
    assert.ok(store.metadata.getManifest(APP, digestOf('tagged')))

    assert.deepEqual(await collectOld(test), wouldGo)
    const kept = ['tagged', 'config', 'layer']
    assert.deepEqual(await stored(store, [...kept, 'untagged', 'own layer', 'loose']), kept)
    assert.deepEqual(filesOnDisk(root).blobs, kept.map(text => digestHex(digestOf(text))).sort())
    assert.deepEqual(filesOnDisk(root).ingests, [])
    assert.ok(store.metadata.isBlobLinked(APP, digestOf('layer')))
    assert.ok(!store.metadata.isBlobLinked(APP, digestOf('own layer')))
    assert.deepEqual(await collectOld(test), { digests: [], bytes: 0, ingests: [] })
  })

  it('keeps the children of an index and the referrers of what lives, to any depth', async t => {
    const test = await temporaryStore(t)
    const { store, clock } = test
    const child = await putImage(store, 'child', { needs: ['child layer'] })
    await putImage(store, 'index', { needs: [child], tags: ['latest'] })
    const signature = await putImage(store, 'signature', { needs: ['signature blob'], subject: child })
    await putImage(store, 'signature of the signature', { subject: signature })
    await putImage(store, 'referrer of nothing', { subject: digestOf('gone') })
    clock.pass(2 * HOUR_MS)
    const report = await collectOld(test)
    assert.deepEqual(report.digests, [digestOf('referrer of nothing')])
    assert.equal(store.metadata.listReferrers(APP, child).length, 1)

    store.metadata.deleteTag(APP, tag('latest'))
    await collectOld(test)
    assert.deepEqual(filesOnDisk(test.root).blobs, [])
    assert.deepEqual(store.metadata.listRepositories(), [])
  })

  it('takes manifests that keep only each other alive', async t => {
    const test = await temporaryStore(t)
    const { store, clock } = test
    const [first, second] = [digestOf('first'), digestOf('second')]
    for (const name of ['first', 'second', 'child']) await putContent(store.content, name)
    const child = digestOf('child')
    await putImage(store, 'child')
    // Each has the other's child as subject, so neither is a parent or subject that nobody needs.
    await putImage(store, 'first', { needs: [child, second], subject: child })
    await putImage(store, 'second', { needs: [child, first], subject: child })
    clock.pass(2 * HOUR_MS)
    assert.equal((await collectOld(test)).digests.length, 3)
  })

  it('counts a manifest in its own repository only, and a blob in all of them', async t => {
    const test = await temporaryStore(t)
    const { store, clock } = test
    await putImage(store, 'image', { needs: ['layer'] })
    const record = store.metadata.getManifest(APP, digestOf('image'))
    assert.ok(record)
    store.metadata.putManifest(repository('other'), record, [tag('kept')])
    clock.pass(2 * HOUR_MS)
    assert.deepEqual((await collectOld(test)).digests, [])
    assert.deepEqual(store.metadata.listRepositories(), ['other'])
  })

  it('keeps the layers of cache records, until these are pruned', async t => {
    const test = await temporaryStore(t)
    const { store, clock } = test
    const layer = await store.layers.ingest(layerTar('content'), 'gzip', NO_SIGNAL)
    store.metadata.putCacheRecord({
      key: digestOf('key'),
      description: 'COPY',
      parts: [],
      layer,
      createdAt: 0,
    })
    clock.pass(2 * HOUR_MS)
    assert.deepEqual((await collectOld(test)).digests, [])
    assert.ok(store.layers.toc(layer))
    store.metadata.deleteCacheRecords()
    assert.deepEqual((await collectOld(test)).digests, [layer.digest])
    assert.throws(() => store.layers.toc(layer), rejectsWith('content-missing'))
  })

  const uses: readonly (readonly [string, (store: DiskStore) => unknown])[] = [
    ['a stat of the blob', store => store.content.stat(digestOf('blob'))],
    ['a link', store => store.metadata.linkBlob(repository('elsewhere'), digestOf('blob'))],
    ['a new link of the same', store => store.metadata.linkBlob(APP, digestOf('blob'))],
    ['a look at the link', store => store.metadata.isBlobLinked(APP, digestOf('blob'))],
    ['storing it again', store => putContent(store.content, 'blob')],
  ]
  for (const [use, touch] of uses)
    it(`starts the grace anew with ${use}`, async t => {
      const test = await temporaryStore(t)
      const { store, clock } = test
      await putContent(store.content, 'blob')
      store.metadata.linkBlob(APP, digestOf('blob'))
      clock.pass(50 * MINUTE_MS)
      await touch(store)
      clock.pass(50 * MINUTE_MS)
      assert.deepEqual((await collectOld(test)).digests, [])
      clock.pass(50 * MINUTE_MS)
      assert.deepEqual((await collectOld(test)).digests, [digestOf('blob')])
    })

  it('starts the grace of an untagged manifest anew when somebody gets it', async t => {
    const test = await temporaryStore(t)
    const { store, clock } = test
    await putImage(store, 'image', { needs: ['layer'] })
    clock.pass(50 * MINUTE_MS)
    store.metadata.getManifest(APP, digestOf('image'))
    clock.pass(50 * MINUTE_MS)
    assert.deepEqual((await collectOld(test)).digests, [])
  })

  it('takes abandoned ingests with their uploads, but none that is open, however old', async t => {
    const test = await temporaryStore(t)
    const { store, clock, root } = test
    const begun = async (): Promise<IngestID> => {
      await using ingest = await store.content.begin()
      store.metadata.putUpload(APP, ingest.id)
      await ingest.append(chunked(Buffer.from('12345')), NO_SIGNAL)
      return ingest.id
    }
    const abandoned = await begun()
    await using open = await store.content.resume(await begun())
    await open.append(chunked(Buffer.from('6')), NO_SIGNAL)
    clock.pass(2 * HOUR_MS)
    assert.deepEqual((await collectOld(test, { dryRun: true })).ingests, [abandoned])
    assert.equal(filesOnDisk(root).ingests.length, 4)
    const report = await collectOld(test)
    assert.deepEqual(report.ingests, [abandoned])
    assert.ok(report.bytes >= 5)
    assert.equal(store.metadata.hasUpload(APP, abandoned), false)
    await assert.rejects(store.content.resume(abandoned), rejectsWith('ingest-unknown'))
    await open.commit({ digest: digestOf('123456') })
    assert.deepEqual(filesOnDisk(root).ingests, [])
  })

  it('takes files without a row once they are old, and what is no file of ours never', async t => {
    const test = await temporaryStore(t)
    const { store, root } = test
    await putContent(store.content, 'row')
    const path = store.disk.layout.blob(digestOf('row'))
    const orphan = path.slice(0, -1) + (path.endsWith('0') ? '1' : '0')
    const foreign = `${path}.txt`
    for (const file of [orphan, foreign]) writeFileSync(file, 'bytes')
    assert.equal((await collectOld(test)).bytes, 0)
    const old = Date.now() / 1000 - 7200
    for (const file of [orphan, foreign, path]) utimesSync(file, old, old)
    assert.equal((await collectOld(test, { dryRun: true })).bytes, 5)
    assert.equal((await collectOld(test)).bytes, 5)
    assert.equal(filesOnDisk(root).blobs.length, 2)
    assert.ok(await store.content.stat(digestOf('row')))
  })

  it('stops when it is told to, with rows and bytes in agreement', async t => {
    const test = await temporaryStore(t)
    const { store, clock } = test
    await putContent(store.content, 'garbage')
    clock.pass(2 * HOUR_MS)
    const signal = AbortSignal.abort(new Error('stop'))
    const options = { olderThanMs: 0, dryRun: false, now: clock.now, signal }
    await assert.rejects(collectGarbage(store, options), /stop/)
    assert.deepEqual(filesOnDisk(test.root).blobs.length, await countContent(store))
  })

  it('lets others write during a dry run, and tells what a run after it takes', async t => {
    const test = await temporaryStore(t)
    const { store, clock, reopen } = test
    const collector = await reopen()
    for (let index = 0; index < 20; index++)
      await putImage(store, `image ${index}`, { needs: ['shared', `${index}`] })
    await putImage(store, 'index', { needs: [digestOf('image 3')], tags: ['kept'] })
    store.metadata.linkBlob(repository('other'), digestOf('7'))
    clock.pass(2 * HOUR_MS)
    let isDone = false
    const preview = collectOld({ ...test, store: collector }, { dryRun: true }).finally(() => {
      isDone = true
    })
    let written = 0
    while (!isDone) {
      store.metadata.putUpload(APP, `upload-${written++}` as IngestID)
      await nextTurn()
    }
    assert.ok(written > 1, 'somebody wrote meanwhile')
    const wouldGo = await preview
    assert.equal(wouldGo.digests.length, 2 * 19)
    assert.deepEqual(await collectOld(test), wouldGo)
  })

  it('never takes content from pushes at the same time, even without any grace', async t => {
    const { store, reopen } = await temporaryStore(t)
    const collector = await reopen()
    const progress = { attempts: 0, done: false }
    const pushing = pushAll(store, 60, progress).finally(() => {
      progress.done = true
    })
    await Promise.all([pushing, collectUntilDone(collector, progress)])
    await checkPushed(store, 60)
  })
})

async function countContent(store: DiskStore): Promise<number> {
  let count = 0
  for await (const _ of store.content.list()) count++
  return count
}

interface PushProgress {
  attempts: number
  done: boolean
}

/** Pushes images as a client does, again from the start when the collector was faster: it has no grace here. */
async function pushAll(store: DiskStore, count: number, progress: PushProgress): Promise<void> {
  for (let index = 0; index < count; index++) {
    for (let tries = 0; ; tries++) {
      assert.ok(tries < 100, 'a push gets through')
      progress.attempts++
      try {
        await putImage(store, `image ${index}`, { needs: [`layer ${index % 7}`], tags: [`tag-${index}`] })
        break
      } catch (error) {
        rejectsWith('content-missing')(error)
      }
    }
    if (index % 3 === 0) store.metadata.deleteTag(APP, tag(`tag-${index}`))
  }
}

/** Collects during about every third attempt of a push, so that some of them get through. */
async function collectUntilDone(store: DiskStore, progress: PushProgress): Promise<void> {
  for (let next = 1; !progress.done; next = progress.attempts + 2) {
    await collectGarbage(store, { olderThanMs: -MINUTE_MS, dryRun: false, now: Date.now, signal: NO_SIGNAL })
    while (!progress.done && progress.attempts < next) await nextTurn()
  }
}

async function checkPushed(store: DiskStore, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    if (index % 3 === 0) continue
    const record = store.metadata.getTag(APP, tag(`tag-${index}`))
    assert.ok(record, `tag-${index}`)
    const manifest = store.metadata.getManifest(APP, record.digest)
    for (const digest of [record.digest, ...(manifest?.references ?? [])])
      await store.content.open(digest).then(use)
  }
}

async function use(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}
