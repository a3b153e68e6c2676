import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { collectGarbage } from '../../../src/store/gc.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import {
  chunked,
  collect,
  filesOnDisk,
  NO_SIGNAL,
  rejectsWith,
  repository,
  tag,
  temporaryFolder,
} from './support.ts'

const WORKER = join(import.meta.dirname, 'worker-process.ts')
const APP = repository('app')

interface Worker {
  readonly process: ChildProcess
  /** Lines said so far. */
  readonly said: string[]
  readonly exited: Promise<unknown>
  waitFor(lines: number): Promise<void>
}

function startWorker(t: TestContext, root: string, job: string, argument = ''): Worker {
  const child = spawn(process.execPath, [WORKER, root, job, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const said: string[] = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', line => said.push(line))
  const exited = Promise.all([once(child, 'exit'), once(lines, 'close')])
  return {
    process: child,
    said,
    exited,
    async waitFor(count) {
      while (said.length < count)
        await Promise.race([once(lines, 'line'), exited.then(() => assert.fail('ended'))])
    },
  }
}

/** Everything that was acknowledged is there, whole; nothing is there that is not whole. */
async function checkWhole(store: DiskStore, acknowledged: readonly string[]): Promise<void> {
  for (const line of acknowledged) {
    const [name = '', layer] = line.split(' ')
    const manifest = store.metadata.getTag(APP, tag(name))
    assert.ok(manifest, `${name} was acknowledged`)
    assert.equal(store.metadata.getManifest(APP, manifest.digest)?.references[0], layer)
    assert.ok(await store.content.stat(layer as Digest))
  }
  for await (const { digest } of store.content.list())
    assert.equal(digestOf(await collect(await store.content.open(digest))), digest)
}

describe('several processes on one store', () => {
  it('lose nothing that was acknowledged when they are killed at any moment', async t => {
    const root = join(temporaryFolder(t), 'store')
    const acknowledged: string[] = []
    for (let round = 0; round < 4; round++) {
      const workers = [
        startWorker(t, root, 'push', `a${round}`),
        startWorker(t, root, 'push', `b${round}`),
        startWorker(t, root, 'collect'),
      ]
      await workers[round % 2]?.waitFor(3 + round)
      for (const worker of workers) worker.process.kill('SIGKILL')
      await Promise.all(workers.map(worker => worker.exited))
      acknowledged.push(...workers.flatMap(worker => worker.said))
      using store = await openStore({ root, now: Date.now })
      await checkWhole(store, acknowledged)
    }
    using store = await openStore({ root, now: Date.now })
    await collectGarbage(store, { olderThanMs: -60_000, dryRun: false, now: Date.now, signal: NO_SIGNAL })
    assert.deepEqual(filesOnDisk(root).ingests, [])
    await checkWhole(store, acknowledged)
    let rows = 0
    for await (const _ of store.content.list()) rows++
    assert.equal(filesOnDisk(root).blobs.length, rows)
  })

  it('push the same and different images at once', async t => {
    const root = join(temporaryFolder(t), 'store')
    const workers = Array.from({ length: 3 }, () => startWorker(t, root, 'pushSome', '6'))
    await Promise.all(workers.map(worker => worker.exited))
    for (const worker of workers) assert.equal(worker.said.length, 12)
    using store = await openStore({ root, now: Date.now })
    await checkWhole(
      store,
      workers.flatMap(worker => worker.said),
    )
    assert.equal(store.metadata.listTags(APP)?.length, 6 * 4)
  })

  it('free an ingest with the process that held it', async t => {
    const root = join(temporaryFolder(t), 'store')
    using store = await openStore({ root, now: Date.now })
    await using begun = await store.content.begin()
    await begun[Symbol.asyncDispose]()
    const holder = startWorker(t, root, 'hold', begun.id)
    await holder.waitFor(1)
    {
      await using ingest = await store.content.resume(begun.id)
      const append = ingest.append(chunked(Buffer.from('!')), NO_SIGNAL)
      await assert.rejects(append, rejectsWith('ingest-busy'))
    }
    holder.process.kill('SIGKILL')
    await holder.exited
    await using ingest = await store.content.resume(begun.id)
    await ingest.append(chunked(Buffer.from('!')), NO_SIGNAL)
    await ingest.commit({ digest: digestOf('held!') })
  })
})
