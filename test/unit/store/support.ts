import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { byteStringOf } from '../../../src/oci/byte-string.ts'
import type { ContentIngester } from '../../../src/oci/content.ts'
import type { Descriptor } from '../../../src/oci/descriptor.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import type { RepositoryName, Tag } from '../../../src/oci/reference.ts'
import { writeTar } from '../../../src/oci/tar/writer.ts'
import type { LayerRecord } from '../../../src/store/metadata.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import type { StoreFiles } from '../../../src/store/store-files.ts'

export const NO_SIGNAL = new AbortController().signal
export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS

/** A clock that tests turn by hand. */
export class Clock {
  time = Date.now()
  readonly now = (): number => this.time
  pass(ms: number): void {
    this.time += ms
  }
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-store-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface TestStore {
  readonly store: DiskStore
  readonly clock: Clock
  readonly root: string
  /** Another process's view of the same store, as far as one process can have it. */
  reopen(): Promise<DiskStore>
}

export async function temporaryStore(t: TestContext, files?: StoreFiles): Promise<TestStore> {
  const root = join(temporaryFolder(t), 'store')
  const clock = new Clock()
  const open = async (): Promise<DiskStore> => {
    const store = await openStore({ root, now: clock.now, ...(files !== undefined && { files }) })
    t.after(() => store[Symbol.dispose]())
    return store
  }
  return { store: await open(), clock, root, reopen: open }
}

export async function* chunked(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export async function putContent(content: ContentIngester, bytes: Uint8Array | string): Promise<Digest> {
  const buffer = Buffer.from(bytes)
  await using ingest = await content.begin()
  await ingest.append(chunked(buffer), NO_SIGNAL)
  return (await ingest.commit({ digest: digestOf(buffer), size: buffer.length })).digest
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  // What is read may be given back when the next chunk is asked for.
  for await (const chunk of source) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

/** Reads a layer that is stored, to its end, and tells what is then known of it. */
export async function readLayer(store: DiskStore, layer: Descriptor, diffID: Digest): Promise<LayerRecord> {
  for await (const _ of await store.layers.openUnread(layer, diffID));
  const record = store.metadata.getLayer(layer.digest)
  assert.ok(record !== undefined)
  return record
}

/** A layer of one file. */
export function layerTar(content: string): AsyncIterable<Buffer> {
  const body = Buffer.from(content)
  const entry = {
    type: 'file',
    path: byteStringOf('file'),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
  } as const
  return writeTar([{ entry, body }])
}

/** Bytes that do not repeat, the same for the same seed. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}

export function repository(name: string): RepositoryName {
  return name as RepositoryName
}

export function tag(name: string): Tag {
  return name as Tag
}

/** Every file below `blobs/`, as digests, and every one in `ingest/`. */
export function filesOnDisk(root: string): {
  readonly blobs: readonly string[]
  readonly ingests: readonly string[]
} {
  const blobs = readdirSync(join(root, 'blobs'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => entry.name)
  return { blobs: blobs.sort(), ingests: readdirSync(join(root, 'ingest')) }
}

export function rejectsWith(code: string): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof Error && 'code' in error, String(error))
    assert.equal(error.code, code, error.message)
    return true
  }
}
