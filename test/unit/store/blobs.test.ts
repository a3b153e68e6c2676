import assert from 'node:assert/strict'
import { readFileSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { nodeStoreFiles, type StoreFile } from '../../../src/store/store-files.ts'
import { contentSuite } from '../../suites/content-suite.ts'
import {
  chunked,
  collect,
  filesOnDisk,
  MINUTE_MS,
  NO_SIGNAL,
  noise,
  putContent,
  rejectsWith,
  temporaryStore,
} from './support.ts'

contentSuite('content on disk', async t => {
  const { store, reopen } = await temporaryStore(t)
  return { content: store.content, other: (await reopen()).content }
})

describe('content on disk', () => {
  it('lies read-only under its digest, and leaves nothing else behind', async t => {
    const { store, root } = await temporaryStore(t)
    const digest = await putContent(store.content, 'hello')
    const path = store.disk.layout.blob(digest)
    assert.ok(
      path.endsWith('/blobs/sha256/2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'),
    )
    assert.equal(readFileSync(path, 'utf8'), 'hello')
    assert.equal(statSync(path).mode & 0o777, 0o444)
    assert.equal(statSync(root).mode & 0o777, 0o700)
    assert.deepEqual(filesOnDisk(root).ingests, [])
  })

  it('is corrupt when the file was cut, absent for stat, and mended by storing it again', async t => {
    const { store } = await temporaryStore(t)
    const bytes = noise(200_000)
    const digest = await putContent(store.content, bytes)
    const path = store.disk.layout.blob(digest)
    const damages = [() => truncateSync(path, 1000), () => unlinkSync(path)]
    for (const damage of damages) {
      damage()
      await assert.rejects(store.content.open(digest), rejectsWith('content-corrupt'))
      assert.equal(await store.content.stat(digest), undefined)
      await putContent(store.content, bytes)
      assert.ok((await collect(await store.content.open(digest))).equals(bytes))
    }
  })

  it('is not read again at its commit when its algorithm was known before its first byte', async t => {
    let reads = 0
    const counting = (file: StoreFile): StoreFile => ({
      ...file,
      read(buffer, position) {
        reads++
        return file.read(buffer, position)
      },
    })
    const { store, reopen } = await temporaryStore(t, {
      ...nodeStoreFiles,
      create: async path => counting(await nodeStoreFiles.create(path)),
      open: async path => counting(await nodeStoreFiles.open(path)),
    })
    const other = await reopen()
    const bytes = noise(500_000)
    const digest = digestOf(bytes, 'sha512')
    const begun = await store.content.begin('sha512')
    await begun[Symbol.asyncDispose]()
    // Another process takes the first bytes, and knows the algorithm too.
    for (const part of [bytes.subarray(0, 300_000), bytes.subarray(300_000)]) {
      await using ingest = await (await reopen()).content.resume(begun.id)
      await ingest.append(chunked(part), NO_SIGNAL)
    }
    assert.ok(reads > 0, 'its hash has no state that another process could take over')
    reads = 0
    await using ended = await other.content.resume(begun.id)
    await ended.commit({ digest })
    for (const hint of [true, false]) {
      await using ingest = await store.content.begin(hint ? 'sha512' : undefined)
      await ingest.append(chunked(bytes.subarray(hint ? 0 : 1)), NO_SIGNAL, 'sha512')
      await ingest.commit({ digest: digestOf(bytes.subarray(hint ? 0 : 1), 'sha512') })
    }
    assert.equal(reads, 0)
    await using unasked = await store.content.begin()
    await unasked.append(chunked(bytes.subarray(2)), NO_SIGNAL)
    await unasked.commit({ digest: digestOf(bytes.subarray(2), 'sha512') })
    assert.ok(reads > 0)
  })

  it('is not written again when it is there', async t => {
    const { store } = await temporaryStore(t)
    const digest = await putContent(store.content, 'once')
    const { ino } = statSync(store.disk.layout.blob(digest))
    await putContent(store.content, 'once')
    assert.equal(statSync(store.disk.layout.blob(digest)).ino, ino)
  })

  it('asked for again and again, is touched once in a while', async t => {
    const { store, clock } = await temporaryStore(t)
    const digest = await putContent(store.content, 'hello')
    const touchedAt = () =>
      store.disk.database.one<{ at: number }>('SELECT touched_at AS at FROM blobs WHERE digest = ?', digest)
        ?.at
    const stored = touchedAt()
    clock.pass(MINUTE_MS)
    await store.content.stat(digest)
    assert.equal(touchedAt(), stored)
    clock.pass(10 * MINUTE_MS)
    await store.content.stat(digest)
    assert.equal(touchedAt(), clock.time)
  })
})

describe('the hash of an ingest', () => {
  it('does not read the file at the commit, whichever process commits', async t => {
    const { store, reopen } = await temporaryStore(t)
    const other = await reopen()
    const bytes = noise(300_000)
    for (const committer of [store, other]) {
      await using ingest = await store.content.begin()
      await ingest.append(chunked(bytes), NO_SIGNAL)
      await ingest[Symbol.asyncDispose]()
      // Were the bytes read again, these would be seen.
      writeFileSync(store.disk.layout.ingest(ingest.id), Buffer.alloc(bytes.length))
      await using last = await committer.content.resume(ingest.id)
      await last.commit({ digest: digestOf(bytes) })
      await store.content.delete(digestOf(bytes))
    }
  })

  it('is read once by the first process that takes over, and by none after it', async t => {
    const { store, reopen } = await temporaryStore(t)
    const others = [await reopen(), await reopen(), await reopen()]
    const bytes = noise(400_000)
    await using ingest = await store.content.begin()
    await ingest.append(chunked(bytes.subarray(0, 100_000)), NO_SIGNAL)
    await ingest[Symbol.asyncDispose]()
    const path = store.disk.layout.ingest(ingest.id)
    for (const [index, other] of others.entries()) {
      await using next = await other.content.resume(ingest.id)
      await next.append(chunked(bytes.subarray(next.offset, next.offset + 100_000)), NO_SIGNAL)
      await next[Symbol.asyncDispose]()
      writeFileSync(path, Buffer.alloc((index + 2) * 100_000))
    }
    await using last = await store.content.resume(ingest.id)
    await last.commit({ digest: digestOf(bytes) })
  })

  it('reads the file where the state is lost, damaged, or of another boot', async t => {
    const bytes = noise(100_000)
    const spoilt = (state: string): readonly (string | undefined)[] => [
      undefined,
      '',
      '{',
      '[]',
      'null',
      JSON.stringify({ ...JSON.parse(state), boot: 'another' }),
      JSON.stringify({ ...JSON.parse(state), offset: 1e9 }),
      JSON.stringify({ ...JSON.parse(state), digest: 'md5:0', state: { words: [1], block: '' } }),
    ]
    const { store, reopen } = await temporaryStore(t)
    for (let index = 0; index < spoilt('{}').length; index++) {
      await using ingest = await store.content.begin()
      await ingest.append(chunked(bytes.subarray(0, 50_000)), NO_SIGNAL)
      await ingest[Symbol.asyncDispose]()
      const path = store.disk.layout.ingestState(ingest.id)
      const state = spoilt(readFileSync(path, 'utf8'))[index]
      if (state === undefined) unlinkSync(path)
      else writeFileSync(path, state)
      const other = await reopen()
      await using next = await other.content.resume(ingest.id)
      await next.append(chunked(bytes.subarray(50_000)), NO_SIGNAL)
      await next.commit({ digest: digestOf(bytes) })
      await store.content.delete(digestOf(bytes))
    }
  })

  it('counts what a killed process wrote after its last state', async t => {
    const { store, reopen } = await temporaryStore(t)
    const bytes = noise(90_000)
    await using ingest = await store.content.begin()
    await ingest.append(chunked(bytes.subarray(0, 30_000)), NO_SIGNAL)
    await ingest[Symbol.asyncDispose]()
    writeFileSync(store.disk.layout.ingest(ingest.id), bytes.subarray(30_000, 60_000), { flag: 'a' })
    const other = await reopen()
    await using next = await other.content.resume(ingest.id)
    assert.equal(next.offset, 60_000)
    await next.append(chunked(bytes.subarray(60_000)), NO_SIGNAL)
    await next.commit({ digest: digestOf(bytes) })
  })
})
