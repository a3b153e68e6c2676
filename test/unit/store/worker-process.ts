/**
 * A process of its own for tests: `node worker-process.ts ROOT JOB ARGUMENT`. Says on standard output, one line each,
 * what it has done, so that the test knows what was acknowledged before it was killed.
 */
import { writeSync } from 'node:fs'
import type { IngestID } from '../../../src/oci/content.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { StoreError } from '../../../src/store/errors.ts'
import { collectGarbage } from '../../../src/store/gc.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import { withReserve } from '../../../src/store/reserve.ts'
import { chunked, NO_SIGNAL, noise, putContent, repository, tag } from './support.ts'

const [root = '', job = '', argument = ''] = process.argv.slice(2)

const JOBS: Readonly<Record<string, (store: DiskStore) => Promise<void>>> = {
  /** Pushes images until it is killed. */
  async push(store) {
    for (let index = 0; ; index++) await pushUntilDone(store, `${argument}-${index}`)
  },
  async pushSome(store) {
    for (let index = 0; index < Number(argument); index++) {
      await pushImage(store, `common-${index}`)
      await pushImage(store, `${process.pid}-${index}`)
    }
  },
  async collect(store) {
    for (;;)
      await collectGarbage(store, { olderThanMs: 30_000, dryRun: false, now: Date.now, signal: NO_SIGNAL })
  },
  /**
   * Pushes, deletes and collects until it is killed, on a disk that may be full at any moment. Says `+NAME LAYER` for
   * what is pushed, `?NAME` for what it is about to delete, `-NAME` for what is deleted.
   */
  async churn(store) {
    const names: string[] = []
    for (let index = 0; ; index++) {
      const name = `${argument}-${index}`
      try {
        await pushUntilDone(store, name, '+')
        names.push(name)
        if (names.length > 4) deleteOldest(store, names)
        if (index % 3 === 0) await collectNow(store)
      } catch (error) {
        if (!isFull(error)) throw error
        await makeRoom(store, names)
      }
    }
  },
  /** Locks an ingest and never lets go. */
  async hold(store) {
    const ingest = await store.content.resume(argument as IngestID)
    await ingest.append(chunked(Buffer.from('held')), NO_SIGNAL)
    say('holding')
    setInterval(() => undefined, 1000)
    await new Promise(() => undefined)
  },
}

function deleteOldest(store: DiskStore, names: string[]): void {
  const [name] = names
  if (name === undefined) return
  say(`?${name}`)
  store.metadata.deleteTag(repository('app'), tag(name))
  say(`-${name}`)
  names.shift()
}

function collectNow(store: DiskStore): Promise<unknown> {
  const options = { olderThanMs: -60_000, dryRun: false, now: Date.now, signal: NO_SIGNAL }
  return withReserve(store.disk.layout, () => collectGarbage(store, options))
}

async function makeRoom(store: DiskStore, names: string[]): Promise<void> {
  try {
    deleteOldest(store, names)
    await collectNow(store)
  } catch (error) {
    if (!isFull(error)) throw error
  }
}

function isFull(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'store-full'
}

async function pushImage(store: DiskStore, name: string, sign = ''): Promise<void> {
  const layer = noise(100_000 + name.length, name.length)
  layer.write(name)
  const references = [
    await putContent(store.content, layer),
    await putContent(store.content, `config of ${name}`),
  ]
  const digest = await putContent(store.content, `manifest of ${name}`)
  const manifest = { digest, mediaType: MEDIA_TYPE.ociManifest, size: 0, references }
  store.metadata.putManifest(repository('app'), manifest, [tag(name)])
  say(`${sign}${name} ${digestOf(layer)}`)
}

async function pushUntilDone(store: DiskStore, name: string, sign = ''): Promise<void> {
  for (;;) {
    try {
      return await pushImage(store, name, sign)
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'content-missing')) throw error
    }
  }
}

/** At once, past any buffer. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}

using store = await openStore({ root, now: Date.now, freesSpace: job === 'churn' })
await JOBS[job]?.(store)
