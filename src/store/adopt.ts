import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, lstat } from 'node:fs/promises'
import type { IngestID } from '../oci/content.ts'
import { type Digest, Digester, digestAlgorithm } from '../oci/digest.ts'
import { isErrno, OciError } from '../oci/errors.ts'
import { catchUp } from './ingest-hashes.ts'
import type { DiskStore } from './open.ts'
import { publish } from './publish.ts'

/**
 * Makes a file that belongs to somebody else content, under a second name where both are on one file system, else as a
 * copy. Its bytes are hashed in any case. Whoever has the file must not change it any more.
 * @throws OciError `digest-mismatch`; an error of the system when it cannot be read
 */
export async function adoptFile(
  store: DiskStore,
  path: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<'linked' | 'copied'> {
  const { files, layout, locks } = store.disk
  const id = randomUUID() as string as IngestID
  const own = layout.ingest(id)
  // Locked before it is there: its time is that of the other file, and garbage collection takes what is old.
  locks.take(id)
  try {
    if (!(await linkFile(path, own))) return await copyFile(store, path, digest, signal)
    await using file = disposable(await files.open(own))
    const size = await file.size()
    const digester = new Digester(digestAlgorithm(digest))
    const position = {
      get offset() {
        return digester.size
      },
      update: (chunk: Uint8Array) => digester.update(chunk),
    }
    await catchUp(position, file, size, signal)
    const got = digester.digest()
    if (got !== digest)
      throw new OciError('digest-mismatch', `Cannot take over ${path}: want ${digest}, got ${got}`)
    await publish(store.disk, { id, file }, { digest, size })
    return 'linked'
  } finally {
    await files.unlink(own)
    locks.free(id)
  }
}

/** False when the file cannot have a second name there. */
async function linkFile(from: string, to: string): Promise<boolean> {
  try {
    if (!(await lstat(from)).isFile()) return false
    await link(from, to)
  } catch (error) {
    if (isErrno(error, 'EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP')) return false
    throw error
  }
  return (await lstat(to)).isFile()
}

async function copyFile(
  { content }: DiskStore,
  path: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<'copied'> {
  await using ingest = await content.begin(digestAlgorithm(digest))
  try {
    await ingest.append(createReadStream(path, { highWaterMark: 1024 * 1024 }), signal)
    await ingest.commit({ digest })
    return 'copied'
  } catch (error) {
    await ingest.abort()
    throw error
  }
}

function disposable<T extends { close(): Promise<void> }>(file: T): T & AsyncDisposable {
  return { ...file, [Symbol.asyncDispose]: () => file.close() }
}
