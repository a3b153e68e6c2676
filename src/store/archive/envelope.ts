import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'
import type { Descriptor } from '../../oci/descriptor.ts'
import { DigestVerifier } from '../../oci/digest.ts'
import { isErrno } from '../../oci/errors.ts'
import type { GraphSource } from '../../oci/graph.ts'
import { blobPath } from '../../oci/image-layout.ts'
import { StoreError, storeErrorFrom } from '../errors.ts'

/** A file of an envelope. */
export interface EnvelopeMember {
  readonly path: string
  /** In bytes; the source must have exactly so many. */
  readonly size: number
  open(): Promise<AsyncIterable<Uint8Array>>
}

export function bytesMember(path: string, bytes: Uint8Array): EnvelopeMember {
  return { path, size: bytes.length, open: async () => Readable.from([bytes]) }
}

/** A blob, verified while it is written. */
export function blobMember(source: GraphSource, descriptor: Descriptor): EnvelopeMember {
  const { digest, size } = descriptor
  return {
    path: blobPath(digest),
    size,
    open: async () => (await source.open(descriptor)).compose(new DigestVerifier({ digest, size })),
  }
}

/**
 * Writes a tar of files, sorted by path, each path once, with the directories that they need; a function of its
 * members alone. `to` is neither ended nor closed: it is its owner's, who also drops what a failure leaves.
 * @throws what a member or `to` throws; StoreError `store-full`; the signal's reason
 */
export async function writeEnvelope(
  members: readonly EnvelopeMember[],
  to: Writable,
  signal: AbortSignal,
): Promise<void> {
  const unique = new Map(members.map(member => [member.path, member]))
  const tar = pack()
  // When one end fails it takes the other one along, whose error tells less.
  const failures: unknown[] = []
  const fail = (error: unknown): void => {
    failures.push(error)
    tar.destroy(error instanceof Error ? error : new Error(String(error)))
  }
  const feeding = feed(tar, [...unique.values()], signal).catch(fail)
  const writing = writeAll(tar, to, signal).catch(fail)
  await Promise.all([feeding, writing])
  signal.throwIfAborted()
  const [first] = failures
  if (failures.length > 0)
    throw isErrno(first, 'ENOSPC', 'EDQUOT') ? storeErrorFrom(first, 'Cannot write archive') : first
}

type Pack = ReturnType<typeof pack>

/** tar-stream would fill in the current time, and a mode where it is 0. */
const COMMON = { uid: 0, gid: 0, mtime: new Date(0) }

async function feed(tar: Pack, members: EnvelopeMember[], signal: AbortSignal): Promise<void> {
  members.sort((a, b) => (a.path < b.path ? -1 : 1))
  const directories = new Set<string>()
  for (const { path, size, open } of members) {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const directory = path.slice(0, slash + 1)
      if (directories.has(directory)) continue
      directories.add(directory)
      tar.entry({ ...COMMON, name: directory, type: 'directory', mode: 0o755 })
    }
    const source = await open()
    await pipeline(source, tar.entry({ ...COMMON, name: path, type: 'file', mode: 0o644, size }), { signal })
  }
  tar.finalize()
}

async function writeAll(tar: Pack, to: Writable, signal: AbortSignal): Promise<void> {
  const { promise: failed, reject } = Promise.withResolvers<never>()
  const { promise: lastWritten, resolve: written } = Promise.withResolvers<void>()
  failed.catch(() => undefined)
  const closed = () =>
    reject(new StoreError('store-failed', 'Cannot write archive: its other end has been closed'))
  const aborted = () => reject(signal.reason)
  to.on('error', reject).on('close', closed)
  signal.addEventListener('abort', aborted)
  try {
    signal.throwIfAborted()
    if (to.destroyed) closed()
    for await (const chunk of tar) {
      if (to.write(chunk)) continue
      await Promise.race([failed, new Promise<void>(resolve => to.once('drain', resolve))])
    }
    // The last bytes may fail too.
    to.write('', error => (error ? reject(error) : written()))
    await Promise.race([failed, lastWritten])
  } finally {
    to.off('error', reject).off('close', closed)
    signal.removeEventListener('abort', aborted)
  }
}
