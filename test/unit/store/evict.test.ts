import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { type EvictReport, evictCached } from '../../../src/store/evict.ts'
import {
  filesOnDisk,
  HOUR_MS,
  layerTar,
  NO_SIGNAL,
  putContent,
  readLayer,
  repository,
  type TestStore,
  tag,
  temporaryStore,
} from './support.ts'

const DEBIAN = 'docker.io/library/debian'
const LAYER_BYTES = 10_000

interface Cached {
  readonly manifest: Digest
  readonly layer: Digest
}

describe('evictCached()', () => {
  const evict = (test: TestStore, maxBytes: number, hosts = ['docker.io']): Promise<EvictReport> =>
    evictCached(test.store.disk, { hosts, maxBytes, graceMs: HOUR_MS, signal: NO_SIGNAL })

  /** An image of one layer, as the proxy stores it: everything optional, tagged as its registry has it. */
  async function cache(test: TestStore, name: string, tags: readonly string[], text = name): Promise<Cached> {
    const { metadata, content } = test.store
    const layer = await putContent(content, text.padEnd(LAYER_BYTES, '.'))
    const manifest = await putContent(content, `manifest of ${name} ${tags.join()}`)
    const record = {
      digest: manifest,
      mediaType: MEDIA_TYPE.ociManifest,
      size: 1,
      references: [layer],
      optional: [layer],
    }
    metadata.putManifest(repository(name), record, tags.map(tag))
    metadata.linkBlob(repository(name), layer)
    for (const each of tags) metadata.putUpstreamTag(repository(name), tag(each), manifest)
    return { manifest, layer }
  }

  async function threeImages(t: TestContext): Promise<TestStore> {
    const test = await temporaryStore(t)
    for (const name of ['one', 'two', 'three']) {
      await cache(test, `docker.io/library/${name}`, ['1'])
      test.clock.pass(HOUR_MS)
    }
    test.clock.pass(24 * HOUR_MS)
    return test
  }

  it('does nothing below the size, and counts what is cached', async t => {
    const test = await threeImages(t)
    const report = await evict(test, 1_000_000)
    assert.deepEqual([report.freed, report.images], [0, 0])
    assert.ok(report.before > 3 * LAYER_BYTES && report.before < 3.1 * LAYER_BYTES)
    assert.equal((await evict(test, 0, ['ghcr.io'])).before, 0)
  })

  it('drops the image that was not asked for the longest, rows and bytes', async t => {
    const test = await threeImages(t)
    const { metadata, content } = test.store
    const one = metadata.getTag(repository('docker.io/library/one'), tag('1'))?.digest
    assert.ok(one !== undefined && metadata.getManifest(repository('docker.io/library/one'), one))
    test.clock.pass(2 * HOUR_MS)
    const report = await evict(test, 2.5 * LAYER_BYTES)
    assert.equal(report.images, 1)
    assert.ok(report.freed >= LAYER_BYTES)
    assert.equal(metadata.getTag(repository('docker.io/library/two'), tag('1')), undefined)
    assert.equal(await content.stat(digestOf('docker.io/library/two'.padEnd(LAYER_BYTES, '.'))), undefined)
    assert.deepEqual(metadata.listRepositories(), ['docker.io/library/one', 'docker.io/library/three'])
    assert.equal(filesOnDisk(test.root).blobs.length, 4)
  })

  it('spares what was asked for within the grace, whatever the size', async t => {
    const test = await temporaryStore(t)
    await cache(test, DEBIAN, ['12'])
    assert.equal((await evict(test, 0)).images, 0)
    test.clock.pass(2 * HOUR_MS)
    assert.equal((await evict(test, 0)).images, 1)
    assert.deepEqual(filesOnDisk(test.root).blobs, [])
  })

  it('spares and does not count what our own images and the build cache need too', async t => {
    const test = await temporaryStore(t)
    const { metadata, content } = test.store
    const shared = await cache(test, DEBIAN, ['12'])
    metadata.linkBlob(repository('app'), shared.layer)
    let tar = Buffer.alloc(0)
    for await (const chunk of layerTar('a file')) tar = Buffer.concat([tar, chunk])
    const step = await putContent(content, tar)
    const layer = await readLayer(
      test.store,
      { digest: step, mediaType: MEDIA_TYPE.ociLayer, size: tar.length },
      digestOf(tar),
    )
    metadata.linkBlob(repository('docker.io/library/made'), step)
    metadata.putCacheRecord({
      key: digestOf('key'),
      description: 'RUN',
      parts: [],
      layer,
      createdAt: test.clock.time,
    })
    test.clock.pass(24 * HOUR_MS)
    const report = await evict(test, 0)
    assert.ok(report.before < 1000, String(report.before))
    assert.ok(await content.stat(shared.layer))
    assert.ok(await content.stat(step))
  })

  it('spares images that were tagged here, under whatever name', async t => {
    const test = await temporaryStore(t)
    const { metadata } = test.store
    const { manifest } = await cache(test, DEBIAN, ['12'])
    const built = await cache(test, 'docker.io/me/app', [])
    const record = metadata.getManifest(repository('docker.io/me/app'), built.manifest)
    assert.ok(record)
    metadata.putManifest(repository('docker.io/me/app'), record, [tag('mine')])
    const debian = metadata.getManifest(repository(DEBIAN), manifest)
    assert.ok(debian)
    metadata.putManifest(repository(DEBIAN), debian, [tag('kept-here')])
    test.clock.pass(24 * HOUR_MS)
    assert.equal((await evict(test, 0)).images, 0)
    assert.ok(metadata.getTag(repository('docker.io/me/app'), tag('mine')))
    assert.ok(metadata.getTag(repository(DEBIAN), tag('12')))
  })

  it('takes an index with its platforms, as young as the youngest of them', async t => {
    const test = await temporaryStore(t)
    const { metadata, content } = test.store
    const child = await cache(test, DEBIAN, [])
    const index = await putContent(content, 'index')
    const absent = digestOf('a platform that nobody asked for')
    const references = [child.manifest, absent]
    metadata.putManifest(
      repository(DEBIAN),
      { digest: index, mediaType: MEDIA_TYPE.ociIndex, size: 5, references, optional: references },
      [tag('12')],
    )
    metadata.putUpstreamTag(repository(DEBIAN), tag('12'), index)
    test.clock.pass(24 * HOUR_MS)
    metadata.getManifest(repository(DEBIAN), child.manifest)
    assert.equal((await evict(test, 0)).images, 0)
    test.clock.pass(24 * HOUR_MS)
    assert.equal((await evict(test, 0)).images, 1)
    assert.deepEqual(filesOnDisk(test.root).blobs, [])
    assert.deepEqual(metadata.listRepositories(), [])
  })
})
