/** What every `Metadata` must do (`src/store/metadata.ts`), whatever it is made of. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { IngestID } from '../../src/oci/content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../src/oci/media-type.ts'
import type { CacheRecord, LayerRecord, ManifestRecord, Metadata } from '../../src/store/metadata.ts'
import { type Clock, HOUR_MS, repository, tag } from '../unit/store/support.ts'

export interface OpenMetadata {
  readonly metadata: Metadata
  readonly clock: Clock
  /** Makes content of the text, and tells its digest. */
  readonly store: (text: string) => Digest
}

const APP = repository('app')
const BASE = repository('docker.io/library/debian')

export function metadataSuite(name: string, open: (t: TestContext) => OpenMetadata): void {
  describe(`${name}: manifests and tags`, () => {
    it('keeps a manifest with all that it says', t => {
      const { metadata, store } = open(t)
      const full: ManifestRecord = {
        ...manifestOf(store, 'image', ['config', 'layer']),
        artifactType: 'application/example',
        subject: digestOf('not stored'),
        annotations: { 'org.example.ü': '"quoted"\n', __proto__x: '' },
        optional: [digestOf('foreign layer')],
        references: [store('config'), digestOf('foreign layer'), store('layer'), store('layer')],
      }
      metadata.putManifest(APP, full, [])
      assert.deepEqual(metadata.getManifest(APP, full.digest), full)
      const least = manifestOf(store, 'least', [])
      metadata.putManifest(APP, least, [])
      assert.deepEqual(metadata.getManifest(APP, least.digest), least)
    })

    it('shows a manifest and its tags in its own repository only', t => {
      const { metadata, store, clock } = open(t)
      const image = manifestOf(store, 'image', ['layer'])
      metadata.putManifest(APP, image, [tag('1.0'), tag('latest')])
      assert.equal(metadata.getManifest(BASE, image.digest), undefined)
      assert.equal(metadata.getTag(BASE, tag('1.0')), undefined)
      assert.equal(metadata.getTag(APP, tag('2.0')), undefined)
      assert.deepEqual(metadata.getTag(APP, tag('1.0')), {
        repository: APP,
        tag: '1.0',
        digest: image.digest,
        mediaType: image.mediaType,
        updatedAt: clock.time,
      })
    })

    it('refuses a manifest whose bytes or needed references are not stored, and changes nothing', t => {
      const { metadata, store } = open(t)
      const image = manifestOf(store, 'image', ['layer'])
      const missing = [digestOf('no layer'), digestOf('no config')]
      const broken = { ...image, references: [...image.references, ...missing] }
      assert.throws(() => metadata.putManifest(APP, broken, [tag('latest')]), hasMissing(missing))
      const unstored = { ...image, digest: digestOf('never stored') }
      assert.throws(() => metadata.putManifest(APP, unstored, []), hasMissing([unstored.digest]))
      assert.deepEqual(metadata.listRepositories(), [])
      assert.equal(metadata.listTags(APP), undefined)
    })

    it('links what a manifest references into its repository', t => {
      const { metadata, store } = open(t)
      const image = manifestOf(store, 'image', ['config', 'layer'])
      metadata.putManifest(APP, image, [])
      for (const digest of image.references) assert.ok(metadata.isBlobLinked(APP, digest))
      assert.ok(!metadata.isBlobLinked(BASE, digestOf('layer')))
    })

    it('links nothing that is optional: a manifest that names a digest is no right to read it', t => {
      const { metadata, store } = open(t)
      const secret = store('pushed to a repository of others')
      const image = { ...manifestOf(store, 'image', ['layer']), optional: [secret] }
      metadata.putManifest(APP, { ...image, references: [...image.references, secret] }, [tag('latest')])
      assert.ok(!metadata.isBlobLinked(APP, secret))
    })

    it('knows which tags are as their own registry had them, until they go', t => {
      const { metadata, store, clock } = open(t)
      const [first, second] = [manifestOf(store, 'one', []), manifestOf(store, 'two', [])]
      metadata.putUpstreamTag(BASE, tag('12'), first.digest)
      assert.equal(metadata.getUpstreamTag(BASE, tag('12')), undefined, 'there is no such tag')
      metadata.putManifest(BASE, first, [tag('12'), tag('13')])
      metadata.putUpstreamTag(BASE, tag('12'), first.digest)
      assert.deepEqual(metadata.getUpstreamTag(BASE, tag('12')), {
        digest: first.digest,
        checkedAt: clock.time,
      })
      assert.equal(metadata.getUpstreamTag(BASE, tag('13')), undefined)
      clock.pass(HOUR_MS)
      metadata.putManifest(BASE, second, [tag('12')])
      assert.equal(metadata.getUpstreamTag(BASE, tag('12'))?.digest, first.digest)
      metadata.putUpstreamTag(BASE, tag('12'), second.digest)
      assert.deepEqual(metadata.getUpstreamTag(BASE, tag('12')), {
        digest: second.digest,
        checkedAt: clock.time,
      })
      metadata.deleteManifest(BASE, second.digest)
      assert.equal(metadata.getUpstreamTag(BASE, tag('12')), undefined)
    })

    it('moves a tag, and leaves its time when it already points there', t => {
      const { metadata, store, clock } = open(t)
      const [first, second] = [manifestOf(store, 'one', []), manifestOf(store, 'two', [])]
      metadata.putManifest(APP, first, [tag('latest')])
      const then = clock.time
      clock.pass(HOUR_MS)
      metadata.putManifest(APP, first, [tag('latest')])
      assert.equal(metadata.getTag(APP, tag('latest'))?.updatedAt, then)
      metadata.putManifest(APP, second, [tag('latest')])
      assert.equal(metadata.getTag(APP, tag('latest'))?.digest, second.digest)
      assert.equal(metadata.getTag(APP, tag('latest'))?.updatedAt, clock.time)
      assert.ok(metadata.getManifest(APP, first.digest))
    })

    it('deletes a manifest with its tags, and a tag without its manifest', t => {
      const { metadata, store } = open(t)
      const image = manifestOf(store, 'image', ['layer'])
      metadata.putManifest(APP, image, [tag('a'), tag('b')])
      assert.equal(metadata.deleteTag(APP, tag('a')), true)
      assert.equal(metadata.deleteTag(APP, tag('a')), false)
      assert.equal(metadata.deleteTag(BASE, tag('b')), false)
      assert.ok(metadata.getManifest(APP, image.digest))
      assert.equal(metadata.deleteManifest(BASE, image.digest), false)
      assert.equal(metadata.deleteManifest(APP, image.digest), true)
      assert.equal(metadata.deleteManifest(APP, image.digest), false)
      assert.equal(metadata.getTag(APP, tag('b')), undefined)
      assert.equal(metadata.getManifest(APP, image.digest), undefined)
    })

    it('lists tags by bytes, page by page, and tells an unknown repository from one without tags', t => {
      const { metadata, store } = open(t)
      const image = manifestOf(store, 'image', [])
      metadata.putManifest(APP, image, ['b', 'a', 'B', '_', 'a.1', '10', '9'].map(tag))
      const names = (page?: { after?: string; limit?: number }) =>
        metadata.listTags(APP, page)?.map(record => record.tag)
      assert.deepEqual(names(), ['10', '9', 'B', '_', 'a', 'a.1', 'b'])
      assert.deepEqual(names({ limit: 2 }), ['10', '9'])
      assert.deepEqual(names({ after: '9', limit: 2 }), ['B', '_'])
      assert.deepEqual(names({ after: 'a' }), ['a.1', 'b'])
      assert.deepEqual(names({ after: 'a.0' }), ['a.1', 'b'])
      assert.deepEqual(names({ limit: 0 }), [])
      assert.deepEqual(names({ after: 'z' }), [])
      assert.equal(metadata.listTags(BASE), undefined)
      metadata.putManifest(BASE, image, [])
      assert.deepEqual(metadata.listTags(BASE), [])
    })

    it('lists the repositories that hold anything, page by page', t => {
      const { metadata, store } = open(t)
      const image = manifestOf(store, 'image', ['layer'])
      for (const name of ['b', 'a/b', 'a', 'a-b', 'docker.io/a'])
        metadata.putManifest(repository(name), image, [])
      assert.deepEqual(metadata.listRepositories(), ['a', 'a-b', 'a/b', 'b', 'docker.io/a'])
      assert.deepEqual(metadata.listRepositories({ after: 'a', limit: 2 }), ['a-b', 'a/b'])
      metadata.deleteManifest(repository('b'), image.digest)
      assert.ok(metadata.listRepositories().includes(repository('b')), 'its blob is still linked')
      metadata.unlinkBlob(repository('b'), digestOf('layer'))
      assert.ok(!metadata.listRepositories().includes(repository('b')))
    })

    it('lists every tag, newest first', t => {
      const { metadata, store, clock } = open(t)
      const put = (name: string, ...tags: string[]) => {
        metadata.putManifest(repository(name), manifestOf(store, name, []), tags.map(tag))
        clock.pass(1000)
      }
      put('old', '1')
      put('new', 'b', 'a')
      put('newest', '1')
      assert.deepEqual(
        metadata.listAllTags().map(record => `${record.repository}:${record.tag}`),
        ['newest:1', 'new:a', 'new:b', 'old:1'],
      )
    })

    it('lists the referrers of a subject in its repository, oldest first, present subject or not', t => {
      const { metadata, store } = open(t)
      const subject = digestOf('subject')
      const referrers = ['z', 'a', 'm'].map(text => ({ ...manifestOf(store, text, []), subject }))
      for (const referrer of referrers) metadata.putManifest(APP, referrer, [])
      metadata.putManifest(BASE, { ...manifestOf(store, 'other', []), subject }, [])
      assert.deepEqual(metadata.listReferrers(APP, subject), referrers)
      assert.deepEqual(metadata.listReferrers(APP, subject, { limit: 2 }), referrers.slice(0, 2))
      const [first] = referrers
      assert.ok(first)
      assert.deepEqual(metadata.listReferrers(APP, subject, { after: first.digest }), referrers.slice(1))
      assert.deepEqual(metadata.listReferrers(APP, subject, { after: digestOf('other') }), referrers)
      assert.deepEqual(metadata.listReferrers(APP, digestOf('nobody')), [])
      assert.deepEqual(metadata.listReferrers(repository('nowhere'), subject), [])
    })
  })

  describe(`${name}: blobs and uploads of repositories`, () => {
    it('links stored blobs, and no others', t => {
      const { metadata, store } = open(t)
      const digest = store('blob')
      metadata.linkBlob(APP, digest)
      metadata.linkBlob(APP, digest)
      assert.ok(metadata.isBlobLinked(APP, digest))
      assert.ok(!metadata.isBlobLinked(BASE, digest))
      assert.throws(() => metadata.linkBlob(APP, digestOf('absent')), hasMissing([digestOf('absent')]))
      assert.equal(metadata.unlinkBlob(BASE, digest), false)
      assert.equal(metadata.unlinkBlob(APP, digest), true)
      assert.equal(metadata.unlinkBlob(APP, digest), false)
      assert.ok(!metadata.isBlobLinked(APP, digest))
    })

    it('does not unlink what a manifest of the repository needs', t => {
      const { metadata, store } = open(t)
      const image = manifestOf(store, 'image', ['layer'])
      metadata.putManifest(APP, image, [])
      metadata.linkBlob(BASE, digestOf('layer'))
      assert.throws(() => metadata.unlinkBlob(APP, digestOf('layer')), {
        code: 'content-in-use',
        detail: { manifest: image.digest },
      })
      assert.equal(metadata.unlinkBlob(BASE, digestOf('layer')), true, 'nothing there needs it')
      metadata.deleteManifest(APP, image.digest)
      assert.equal(metadata.unlinkBlob(APP, digestOf('layer')), true)
    })

    it('knows the repositories that have a blob', t => {
      const { metadata, store } = open(t)
      const digest = store('blob')
      for (const name of ['a', 'b', 'c']) metadata.linkBlob(repository(name), digest)
      assert.deepEqual([...metadata.listRepositoriesWithBlob(digest, 10)].sort(), ['a', 'b', 'c'])
      assert.equal(metadata.listRepositoriesWithBlob(digest, 2).length, 2)
      assert.deepEqual(metadata.listRepositoriesWithBlob(digestOf('absent'), 10), [])
    })

    it('binds an upload to its repository', t => {
      const { metadata } = open(t)
      const id = 'an-upload' as IngestID
      metadata.putUpload(APP, id)
      assert.ok(metadata.hasUpload(APP, id))
      assert.ok(!metadata.hasUpload(BASE, id))
      metadata.deleteUpload(id)
      metadata.deleteUpload(id)
      assert.ok(!metadata.hasUpload(APP, id))
    })
  })

  describe(`${name}: layers and the build cache`, () => {
    it('knows a layer by its digest, its diffID and its table of contents', t => {
      const { metadata, store } = open(t)
      const [gzip, zstd] = [layerOf(store, 'gzip'), layerOf(store, 'zstd')]
      assert.equal(metadata.getLayer(gzip.digest), undefined)
      metadata.putLayer(gzip, Buffer.from('table'))
      metadata.putLayer(zstd, Buffer.from([0, 255, 128]))
      assert.deepEqual(metadata.getLayer(gzip.digest), gzip)
      assert.deepEqual(
        metadata.findLayers(gzip.diffID),
        [gzip, zstd].sort((a, b) => (a.digest < b.digest ? -1 : 1)),
      )
      assert.deepEqual(Buffer.from(metadata.getToc(gzip.diffID) ?? []), Buffer.from([0, 255, 128]))
      assert.deepEqual(metadata.findLayers(digestOf('unknown')), [])
      assert.equal(metadata.getToc(digestOf('unknown')), undefined)
      const absent = { ...gzip, digest: digestOf('absent') }
      assert.throws(() => metadata.putLayer(absent, Buffer.alloc(0)), hasMissing([absent.digest]))
    })

    it('finds a cache record by its key, with its parts in order', t => {
      const { metadata, store, clock } = open(t)
      const record = cacheRecord(store, 'RUN true')
      assert.equal(metadata.getCacheRecord(record.key), undefined)
      metadata.putCacheRecord(record)
      assert.deepEqual(metadata.getCacheRecord(record.key), { ...record, usedAt: clock.time })
      const again = { ...record, createdAt: 7, layer: layerOf(store, 'another result') }
      metadata.putCacheRecord(again)
      assert.deepEqual(metadata.getCacheRecord(record.key), { ...again, usedAt: clock.time })
    })

    it('finds cache records by description, or by how their parts begin, those made last first', t => {
      const { metadata, store } = open(t)
      const [a, b] = ['RUN a', 'RUN a" b'].map(text => cacheRecord(store, text))
      assert.ok(a !== undefined && b !== undefined)
      const again = { ...cacheRecord(store, 'again'), description: 'RUN a', createdAt: 5678 }
      for (const record of [a, b, again]) metadata.putCacheRecord(record)
      const found = (like: Parameters<Metadata['findCacheRecords']>[0], limit = 9) =>
        metadata.findCacheRecords(like, limit).map(record => record.key)
      assert.deepEqual(found({ description: 'RUN a' }), [again.key, a.key])
      assert.deepEqual(found({ description: 'RUN a' }, 1), [again.key])
      assert.deepEqual(found({ description: 'RUN' }), [])
      assert.deepEqual(found({ firstParts: b.parts.slice(0, 2) }), [b.key])
      assert.deepEqual(found({ firstParts: [['step', 'RUN a']] }), [a.key])
      assert.deepEqual(found({ firstParts: [['', 'ü']] }), [])
    })

    it('notes the use of a cache record once an hour', t => {
      const { metadata, store, clock } = open(t)
      const record = cacheRecord(store, 'RUN true')
      metadata.putCacheRecord(record)
      const put = clock.time
      const usedAt = () => metadata.listCacheRecords()[0]?.usedAt
      clock.pass(HOUR_MS / 2)
      metadata.getCacheRecord(record.key)
      assert.equal(usedAt(), put)
      clock.pass(HOUR_MS)
      metadata.getCacheRecord(record.key)
      assert.equal(usedAt(), clock.time)
    })

    it('deletes cache records that were not used since a time, or all, and tells which', t => {
      const { metadata, store, clock } = open(t)
      const records = ['a', 'b', 'c'].map(text => cacheRecord(store, text))
      for (const record of records) {
        metadata.putCacheRecord(record)
        clock.pass(1000)
      }
      const keys = (list: readonly CacheRecord[]) => list.map(record => record.description)
      assert.deepEqual(keys(metadata.listCacheRecords()), ['c', 'b', 'a'])
      assert.deepEqual(keys(metadata.deleteCacheRecords(clock.time - 2000)), ['a'])
      assert.deepEqual(keys(metadata.deleteCacheRecords(0)), [])
      assert.deepEqual(keys(metadata.deleteCacheRecords()), ['c', 'b'])
      assert.deepEqual(metadata.listCacheRecords(), [])
    })
  })
}

type StoreText = OpenMetadata['store']

function manifestOf(store: StoreText, text: string, references: readonly string[]): ManifestRecord {
  return {
    digest: store(text),
    mediaType: MEDIA_TYPE.ociManifest,
    size: text.length,
    references: references.map(store),
  }
}

function layerOf(store: StoreText, text: string): LayerRecord {
  return {
    digest: store(text),
    mediaType: MEDIA_TYPE.ociLayerGzip,
    size: text.length,
    diffID: digestOf('the uncompressed tar'),
    uncompressedSize: 2 ** 40,
  }
}

function cacheRecord(store: StoreText, description: string): Omit<CacheRecord, 'usedAt'> {
  return {
    key: digestOf(`key of ${description}`),
    description,
    parts: [
      ['step', description],
      ['', 'ü'],
      ['step', 'twice'],
    ],
    layer: layerOf(store, `layer of ${description}`),
    createdAt: 1234,
  }
}

/** Accepts StoreError `content-missing` that names these digests, in any order. */
function hasMissing(digests: readonly Digest[]): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof Error && 'code' in error && 'detail' in error, String(error))
    assert.equal(error.code, 'content-missing')
    assert.deepEqual([...(error.detail as Digest[])].sort(), [...digests].sort())
    return true
  }
}
