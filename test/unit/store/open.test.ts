import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { openStore } from '../../../src/store/open.ts'
import { asOrdinaryUser } from '../../support/ordinary-user.ts'
import { putContent, rejectsWith, temporaryFolder } from './support.ts'

const now = Date.now

describe('openStore()', () => {
  it('keeps its database, with the keys of tokens, from other users, whatever the folder lets them do', async t => {
    const root = temporaryFolder(t)
    chmodSync(root, 0o755)
    const modes = () =>
      readdirSync(root)
        .filter(name => name.startsWith('metadata.db'))
        .map(name => [name, statSync(join(root, name)).mode & 0o777])
    const want = ['metadata.db', 'metadata.db-shm', 'metadata.db-wal'].map(name => [name, 0o600])
    {
      using _store = await openStore({ root, now: Date.now })
      assert.deepEqual(modes(), want)
      for (const [name] of want) chmodSync(join(root, `${name}`), 0o644)
      using _other = await openStore({ root, now: Date.now })
      assert.deepEqual(modes(), want)
    }
  })

  it('makes a store, with the folders above it, and finds it again', async t => {
    const root = join(temporaryFolder(t), 'not', 'yet', 'there')
    {
      using store = await openStore({ root, now })
      assert.equal(store.root, root)
      await putContent(store.content, 'hello')
    }
    assert.equal(statSync(root).mode & 0o777, 0o700)
    assert.deepEqual(readdirSync(root).sort(), ['blobs', 'ingest', 'metadata.db', 'reserve'])
    using store = await openStore({ root, now })
    assert.ok(await store.content.stat(digestOf('hello')))
  })

  it('writes nothing when it opens what is there', async t => {
    const root = join(temporaryFolder(t), 'store')
    using first = await openStore({ root, now })
    first[Symbol.dispose]()
    const before = readFileSync(join(root, 'metadata.db'))
    const { mtimeMs } = statSync(join(root, 'metadata.db'))
    using second = await openStore({ root, now })
    second[Symbol.dispose]()
    assert.ok(readFileSync(join(root, 'metadata.db')).equals(before))
    assert.equal(statSync(join(root, 'metadata.db')).mtimeMs, mtimeMs)
  })

  it('takes an empty folder, and the root of a new file system', async t => {
    const root = temporaryFolder(t)
    mkdirSync(join(root, 'lost+found'))
    using store = await openStore({ root, now })
    assert.ok(store)
  })

  it('refuses a folder that holds other things, and leaves it alone', async t => {
    const root = temporaryFolder(t)
    writeFileSync(join(root, 'thesis.txt'), 'x')
    await assert.rejects(openStore({ root, now }), error => {
      rejectsWith('store-invalid')(error)
      assert.ok(String(error).includes(root))
      return true
    })
    assert.deepEqual(readdirSync(root), ['thesis.txt'])
  })

  it('refuses a database that is none, and a path below a file', async t => {
    const root = temporaryFolder(t)
    writeFileSync(
      join(root, 'metadata.db'),
      'this is no database, and long enough to be seen as none'.repeat(99),
    )
    await assert.rejects(openStore({ root, now }), rejectsWith('store-invalid'))
    await assert.rejects(
      openStore({ root: join(root, 'metadata.db', 'below'), now }),
      rejectsWith('store-failed'),
    )
  })

  it('refuses a store of a newer version', async t => {
    const root = join(temporaryFolder(t), 'store')
    {
      using store = await openStore({ root, now })
      store.disk.database.exec('PRAGMA user_version = 77')
    }
    await assert.rejects(openStore({ root, now }), error => {
      rejectsWith('store-invalid')(error)
      assert.match(String(error), /version 77/)
      return true
    })
  })

  it('goes on where the making of a store was killed', async t => {
    const root = temporaryFolder(t)
    writeFileSync(join(root, 'metadata.db'), '')
    mkdirSync(join(root, 'ingest'))
    using store = await openStore({ root, now })
    await putContent(store.content, 'hello')
  })

  it('opens one new store many times at once', async t => {
    const root = join(temporaryFolder(t), 'store')
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore({ root, now })))
    const digests = await Promise.all(stores.map(store => putContent(store.content, 'same')))
    assert.equal(new Set(digests).size, 1)
    for (const store of stores) store[Symbol.dispose]()
  })

  it('says that permission is denied', async t => {
    const root = join(temporaryFolder(t), 'closed', 'store')
    mkdirSync(join(root, '..'))
    chmodSync(join(root, '..'), 0o500)
    await asOrdinaryUser(() => assert.rejects(openStore({ root, now }), rejectsWith('store-denied')))
  })
})
