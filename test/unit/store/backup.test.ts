import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { backUpStore } from '../../../src/store/backup.ts'
import { collectGarbage } from '../../../src/store/gc.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import { scrubContent } from '../../../src/store/scrub.ts'
import {
  filesOnDisk,
  MINUTE_MS,
  NO_SIGNAL,
  putContent,
  rejectsWith,
  repository,
  tag,
  temporaryFolder,
  temporaryStore,
} from './support.ts'

const APP = repository('app')

async function putImage(store: DiskStore, name: string): Promise<Digest> {
  const references = [await putContent(store.content, `layer of ${name}`)]
  const digest = await putContent(store.content, name)
  const record = { digest, mediaType: MEDIA_TYPE.ociManifest, size: name.length, references }
  store.metadata.putManifest(APP, record, [tag(name)])
  return digest
}

function collectAll(store: DiskStore) {
  return collectGarbage(store, { olderThanMs: -MINUTE_MS, dryRun: false, now: Date.now, signal: NO_SIGNAL })
}

/** Opens the backup as a store, sees that all of it is whole, and tells its tags. */
async function restored(t: TestContext, directory: string): Promise<readonly string[]> {
  const copy = join(temporaryFolder(t), 'restored')
  {
    using backup = await openStore({ root: directory, now: Date.now })
    await backUpStore(backup, copy, NO_SIGNAL)
  }
  using store = await openStore({ root: copy, now: Date.now })
  const report = await scrubContent(store, { signal: NO_SIGNAL, onLost: () => undefined })
  assert.deepEqual([report.lost, report.dropped, report.orphans], [[], [], 0])
  const tags = store.metadata.listTags(APP) ?? []
  for (const { digest } of tags)
    for (const need of store.metadata.getManifest(APP, digest)?.references ?? [])
      assert.ok(await store.content.stat(need))
  return tags.map(({ tag: name }) => name)
}

describe('backUpStore()', () => {
  it('copies the files of others that it is told of, with their modes, and forgets those that are gone', async t => {
    const { store } = await temporaryStore(t)
    const directory = join(temporaryFolder(t), 'backup')
    const files = ['users', 'tls/ca.pem', 'never-there']
    mkdirSync(join(store.root, 'tls'))
    for (const name of ['users', 'tls/ca.pem']) writeFileSync(join(store.root, name), name, { mode: 0o600 })
    await backUpStore(store, directory, NO_SIGNAL, files)
    assert.equal(readFileSync(join(directory, 'tls/ca.pem'), 'utf8'), 'tls/ca.pem')
    assert.equal(statSync(join(directory, 'users')).mode & 0o777, 0o600)
    assert.equal(statSync(join(directory, 'metadata.db')).mode & 0o777, 0o600)
    writeFileSync(join(store.root, 'tls/ca.pem'), 'changed')
    unlinkSync(join(store.root, 'users'))
    await backUpStore(store, directory, NO_SIGNAL, files)
    assert.equal(readFileSync(join(directory, 'tls/ca.pem'), 'utf8'), 'changed')
    assert.equal(existsSync(join(directory, 'users')), false)
  })

  it('makes a store of its own, which then takes only what is new', async t => {
    const { store } = await temporaryStore(t)
    const directory = join(temporaryFolder(t), 'backup')
    for (const name of ['one', 'two']) await putImage(store, name)
    const first = await backUpStore(store, directory, NO_SIGNAL)
    assert.deepEqual(
      { ...first, bytes: 0, linked: 0 },
      { blobs: 4, bytes: 0, added: 4, linked: 0, removed: 0, lost: [] },
    )
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.deepEqual(await restored(t, directory), ['one', 'two'])

    store.metadata.deleteTag(APP, tag('one'))
    await putImage(store, 'three')
    await collectAll(store)
    const second = await backUpStore(store, directory, NO_SIGNAL)
    assert.deepEqual([second.blobs, second.added, second.removed], [4, 2, 2])
    assert.deepEqual(await restored(t, directory), ['three', 'two'])
    assert.equal(filesOnDisk(directory).blobs.length, 4)
  })

  it('is whole at every moment, while others push, delete and collect', async t => {
    const { store, reopen } = await temporaryStore(t)
    const other = await reopen()
    const directory = join(temporaryFolder(t), 'backup')
    let isDone = false
    const working = (async () => {
      for (let index = 0; !isDone; index++) {
        await putImage(other, `image-${index}`)
        if (index >= 5) other.metadata.deleteTag(APP, tag(`image-${index - 5}`))
        if (index % 7 === 0)
          await collectGarbage(other, { olderThanMs: 200, dryRun: false, now: Date.now, signal: NO_SIGNAL })
        await nextTurn()
      }
    })()
    for (let round = 0; round < 6; round++) {
      await backUpStore(store, directory, NO_SIGNAL)
      assert.ok((await restored(t, directory)).length <= 6)
    }
    isDone = true
    await working
  })

  it('leaves the backup before it whole when it is stopped', async t => {
    const { store } = await temporaryStore(t)
    const directory = join(temporaryFolder(t), 'backup')
    await putImage(store, 'one')
    await backUpStore(store, directory, NO_SIGNAL)
    await putImage(store, 'two')
    const stopped = backUpStore(store, directory, AbortSignal.abort(new Error('stop')))
    await assert.rejects(stopped, /stop/)
    assert.deepEqual(await restored(t, directory), ['one'])
    assert.ok(!existsSync(join(directory, 'metadata.db.partial')))
  })

  it('tells what the store itself has lost', async t => {
    const { store } = await temporaryStore(t)
    await putImage(store, 'one')
    unlinkSync(store.disk.layout.blob(digestOf('layer of one')))
    const report = await backUpStore(store, join(temporaryFolder(t), 'backup'), NO_SIGNAL)
    assert.deepEqual(
      report.lost.map(({ digest }) => digest),
      [digestOf('layer of one')],
    )
  })

  it('refuses what is no backup: other files, the store itself, a store in use', async t => {
    const { store, root } = await temporaryStore(t)
    const foreign = temporaryFolder(t)
    writeFileSync(join(foreign, 'thesis.txt'), '')
    const { root: used } = await temporaryStore(t)
    for (const directory of [foreign, root, join(root, 'backup'), used, join(foreign, 'thesis.txt')])
      await assert.rejects(backUpStore(store, directory, NO_SIGNAL), rejectsWith('store-invalid'), directory)
    const empty = join(foreign, 'empty')
    mkdirSync(empty)
    await backUpStore(store, empty, NO_SIGNAL)
    rmSync(empty, { recursive: true })
  })
})
