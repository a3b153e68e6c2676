import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { putBlob } from '../../../src/store/blob-rows.ts'
import { Database } from '../../../src/store/database.ts'
import { migrate } from '../../../src/store/schema.ts'
import { createSqliteMetadata } from '../../../src/store/sqlite-metadata.ts'
import { metadataSuite, type OpenMetadata } from '../../suites/metadata-suite.ts'
import {
  Clock,
  HOUR_MS,
  putContent,
  rejectsWith,
  repository,
  tag,
  temporaryFolder,
  temporaryStore,
} from './support.ts'

function openMetadata(t: TestContext, path: string): OpenMetadata & { readonly database: Database } {
  const database = new Database(path)
  migrate(database)
  const clock = new Clock()
  const metadata = createSqliteMetadata({ database, now: clock.now })
  t.after(() => metadata.close())
  const store: OpenMetadata['store'] = text => {
    const digest = digestOf(text)
    database.write(() => putBlob(database, { digest, size: text.length }, clock.time))
    return digest
  }
  return { metadata, clock, store, database }
}

metadataSuite('metadata in memory', t => openMetadata(t, ':memory:'))
metadataSuite('metadata in a file', t => openMetadata(t, join(temporaryFolder(t), 'metadata.db')))

describe('metadata in SQLite', () => {
  it('writes nothing for an image that is put again as it was', t => {
    const { metadata, store, database } = openMetadata(t, ':memory:')
    const image = {
      digest: store('image'),
      mediaType: MEDIA_TYPE.ociManifest,
      size: 5,
      references: [store('layer')],
    }
    const changes = () => database.one<{ n: number }>('SELECT total_changes() AS n')?.n
    metadata.putManifest(repository('app'), image, [tag('latest')])
    const before = changes()
    metadata.putManifest(repository('app'), image, [tag('latest')])
    metadata.getManifest(repository('app'), image.digest)
    metadata.getTag(repository('app'), tag('latest'))
    metadata.linkBlob(repository('app'), digestOf('layer'))
    assert.equal(changes(), before)
    database.run('DELETE FROM links WHERE digest = ?', digestOf('layer'))
    metadata.putManifest(repository('app'), image, [tag('latest')])
    assert.ok(metadata.isBlobLinked(repository('app'), digestOf('layer')), 'an unlinked blob is linked again')
  })

  it('forgets what needed a blob when the blob is deleted', async t => {
    const { store } = await temporaryStore(t)
    const { metadata, content } = store
    const digest = await putContent(content, 'layer')
    const layer = { digest, mediaType: MEDIA_TYPE.ociLayer, size: 5, diffID: digest, uncompressedSize: 5 }
    metadata.putLayer(layer, Buffer.from('table'))
    metadata.putCacheRecord({ key: digestOf('key'), description: 'RUN x', parts: [], layer, createdAt: 0 })
    metadata.linkBlob(repository('app'), digest)
    await content.delete(digest)
    assert.equal(metadata.getLayer(digest), undefined)
    assert.deepEqual(metadata.findLayers(digest), [])
    assert.equal(metadata.getCacheRecord(digestOf('key')), undefined)
    assert.equal(metadata.isBlobLinked(repository('app'), digest), false)
  })

  it('answers a read even when its use cannot be noted', t => {
    const path = join(temporaryFolder(t), 'metadata.db')
    const first = openMetadata(t, path)
    const image = { digest: first.store('image'), mediaType: MEDIA_TYPE.ociManifest, size: 5, references: [] }
    first.metadata.putManifest(repository('app'), image, [])
    first.clock.pass(HOUR_MS)
    // From here on nothing can be written: as on a full disk.
    first.database.exec('PRAGMA max_page_count = 1; PRAGMA query_only = ON')
    assert.deepEqual(first.metadata.getManifest(repository('app'), image.digest), image)
    assert.throws(
      () => first.metadata.deleteManifest(repository('app'), image.digest),
      rejectsWith('store-denied'),
    )
  })

  it('refuses a database of a newer version, or of another program, and leaves it as it is', t => {
    const folder = temporaryFolder(t)
    const newer = openMetadata(t, join(folder, 'newer.db')).database
    newer.exec('PRAGMA user_version = 1000')
    assert.throws(() => migrate(newer), { code: 'store-invalid', message: /version 1000/ })

    const path = join(folder, 'foreign.db')
    const foreign = new DatabaseSync(path)
    foreign.exec('CREATE TABLE theirs (x)')
    foreign.close()
    const opened = new Database(path)
    t.after(() => opened.close())
    assert.throws(() => migrate(opened), { code: 'store-invalid', message: /another program/ })
    assert.deepEqual(opened.all('SELECT name FROM sqlite_schema'), [{ name: 'theirs' }])
  })

  it('rolls back a transaction whose action throws, and can go on', t => {
    const { database, store } = openMetadata(t, ':memory:')
    const action = () => {
      database.run('DELETE FROM blobs')
      throw new Error('on purpose')
    }
    const digest = store('kept')
    assert.throws(() => database.write(action), /on purpose/)
    assert.deepEqual(database.all('SELECT digest FROM blobs'), [{ digest }])
    assert.equal(
      database.write(() => database.run('DELETE FROM blobs')),
      1,
    )
  })
})
