import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type Digest, digestHex, digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { StoreError } from '../../../src/store/errors.ts'
import { collectGarbage } from '../../../src/store/gc.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import { type Fault, FaultyFiles } from './faulty-files.ts'
import {
  chunked,
  collect,
  filesOnDisk,
  NO_SIGNAL,
  noise,
  putContent,
  rejectsWith,
  repository,
  tag,
  temporaryFolder,
} from './support.ts'

const KEPT = digestOf('kept')
const BYTES = noise(2_500_000)
const DIGEST = digestOf(BYTES)
const KEPT_MANIFEST = { digest: KEPT, mediaType: MEDIA_TYPE.ociManifest, size: 4, references: [] }
const GARBAGE = ['one', 'two', 'three']
/** Everything counts as older than a minute in the future. */
const ALL_GARBAGE = { olderThanMs: -60_000, dryRun: false, now: Date.now, signal: NO_SIGNAL }

/** More calls than any of these operations makes; each test sees for itself that it got to the end. */
const MANY_CALLS = 60

async function openFaulty(root: string, files: FaultyFiles): Promise<DiskStore> {
  return openStore({ root, now: Date.now, files })
}

interface FaultedOperation {
  readonly fault: Fault
  /** Done before, without faults, after one blob was stored and tagged. */
  readonly prepare?: (store: DiskStore) => Promise<unknown>
  readonly operation: (store: DiskStore) => Promise<unknown>
  readonly check: (root: string, failed: unknown) => Promise<void>
}

/** Runs the operation with a fault at each of its calls in turn, each time on a new store. */
async function atEveryCall(
  t: TestContext,
  { fault, prepare, operation, check }: FaultedOperation,
): Promise<void> {
  const folder = temporaryFolder(t)
  for (let at = 1; ; at++) {
    assert.ok(at < MANY_CALLS, 'the operation ends')
    const root = join(folder, String(at))
    const files = new FaultyFiles()
    const store = await openFaulty(root, files)
    await putContent(store.content, 'kept')
    store.metadata.putManifest(repository('app'), KEPT_MANIFEST, [tag('latest')])
    await prepare?.(store)
    files.arm(fault, at, () => store[Symbol.dispose]())
    let failed: unknown
    try {
      await operation(store)
    } catch (error) {
      failed = error
    }
    const { calls } = files
    files.disarm()
    store[Symbol.dispose]()
    await t.test(`${fault} at call ${at}`, () => check(root, failed))
    if (calls < at) return
  }
}

/**
 * What holds after any crash: rows and bytes agree, what was acknowledged is there, everything can be done again, and
 * what was left behind is collected.
 */
async function checkWhole(root: string, possible: readonly Digest[]): Promise<void> {
  using store = await openStore({ root, now: Date.now })
  // Its owner is this test's process, which lives; a crash would have ended it.
  store.disk.database.run('DELETE FROM ingest_locks')
  assert.equal((await collect(await store.content.open(KEPT))).toString(), 'kept')
  for await (const { digest } of store.content.list()) {
    assert.ok(possible.includes(digest), digest)
    assert.equal(digestOf(await collect(await store.content.open(digest))), digest)
  }
  await putContent(store.content, BYTES)
  await collectGarbage(store, ALL_GARBAGE)
  assert.deepEqual(filesOnDisk(root), { blobs: [digestHex(KEPT)], ingests: [] })
}

describe('a crash at any call', () => {
  const store = async ({ content }: DiskStore): Promise<void> => {
    await using ingest = await content.begin()
    await ingest.append(chunked(BYTES), NO_SIGNAL)
    await ingest.commit({ digest: DIGEST })
  }

  it('of a commit leaves the content whole or absent', t =>
    atEveryCall(t, {
      fault: 'crash',
      operation: store,
      check: async (root, failed) => {
        if (failed === undefined) {
          using reopened = await openStore({ root, now: Date.now })
          assert.ok(await reopened.content.stat(DIGEST))
        }
        await checkWhole(root, [KEPT, DIGEST])
      },
    }))

  it('of a chunked upload leaves the content whole or absent', t =>
    atEveryCall(t, {
      fault: 'crash',
      async operation({ content }) {
        await using first = await content.begin()
        await first.append(chunked(BYTES.subarray(0, 1_200_000)), NO_SIGNAL)
        await first[Symbol.asyncDispose]()
        await using second = await content.resume(first.id)
        await second.append(chunked(BYTES.subarray(1_200_000)), NO_SIGNAL)
        await second[Symbol.asyncDispose]()
        await using third = await content.resume(first.id)
        await third.commit({ digest: DIGEST })
      },
      check: root => checkWhole(root, [KEPT, DIGEST]),
    }))

  it('of a garbage collection loses nothing that is needed', t =>
    atEveryCall(t, {
      fault: 'crash',
      async prepare({ content }) {
        for (const garbage of GARBAGE) await putContent(content, garbage)
        await using abandoned = await content.begin()
        await abandoned.append(chunked(BYTES), NO_SIGNAL)
      },
      operation: store => collectGarbage(store, ALL_GARBAGE),
      check: root => checkWhole(root, [KEPT, ...GARBAGE.map(text => digestOf(text))]),
    }))

  it('of a deletion leaves the content whole or absent', t =>
    atEveryCall(t, {
      fault: 'crash',
      prepare: store,
      operation: ({ content }) => content.delete(DIGEST),
      check: root => checkWhole(root, [KEPT, DIGEST]),
    }))

  it('of the making of a store leaves a folder that can be made a store', async t => {
    const folder = temporaryFolder(t)
    for (let at = 1; ; at++) {
      const root = join(folder, 'a', String(at))
      const files = new FaultyFiles()
      files.arm('crash', at)
      try {
        using made = await openFaulty(root, files)
        assert.ok(made)
        break
      } catch (error) {
        assert.match(String(error), /dead/)
      }
      using made = await openStore({ root, now: Date.now })
      await putContent(made.content, 'kept')
      assert.ok(at < MANY_CALLS)
    }
  })
})

describe('a full disk at any call', () => {
  it('of a commit is told as such, and the same commit succeeds when there is space again', t =>
    atEveryCall(t, {
      fault: 'full',
      async operation({ content }) {
        await using ingest = await content.begin()
        for (let tries = 0; ; tries++) {
          try {
            if (ingest.offset < BYTES.length)
              await ingest.append(chunked(BYTES.subarray(ingest.offset)), NO_SIGNAL)
            return await ingest.commit({ digest: DIGEST, size: BYTES.length })
          } catch (error) {
            rejectsWith('store-full')(error)
            assert.equal(tries, 0, 'the fault happens once')
          }
        }
      },
      async check(root, failed) {
        if (failed !== undefined) rejectsWith('store-full')(failed)
        await checkWhole(root, [KEPT, DIGEST])
      },
    }))

  it('says what to do about it', async t => {
    const files = new FaultyFiles()
    using store = await openFaulty(join(temporaryFolder(t), 'store'), files)
    await using ingest = await store.content.begin()
    files.arm('full', 2)
    await assert.rejects(ingest.append(chunked(BYTES), NO_SIGNAL), error => {
      assert.ok(error instanceof StoreError)
      assert.match(error.message, /^Cannot write ingest .*: no space is left/)
      assert.match(error.hint ?? '', /slipway gc/)
      return true
    })
    assert.ok(ingest.offset < BYTES.length)
  })

  it('leaves no ingest behind that garbage collection does not take', async t => {
    const root = join(temporaryFolder(t), 'store')
    const files = new FaultyFiles()
    using store = await openFaulty(root, files)
    files.arm('full', 3)
    await assert.rejects(putContent(store.content, BYTES), rejectsWith('store-full'))
    files.disarm()
    const report = await collectGarbage(store, ALL_GARBAGE)
    assert.equal(report.ingests.length, 1)
    assert.deepEqual(filesOnDisk(root), { blobs: [], ingests: [] })
  })
})
