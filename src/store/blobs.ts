import { close as closeFile, closeSync, fstat, open as openFile, openSync, readSync } from 'node:fs'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import type {
  BlobInfo,
  ByteRange,
  ContentIngester,
  ContentManager,
  ContentProvider,
  IngestID,
} from '../oci/content.ts'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import { isErrno } from '../oci/errors.ts'
import { deleteBlob, findBlob, listBlobs, touchBlob } from './blob-rows.ts'
import { type BlobStreams, createBlobStreams } from './blob-stream.ts'
import type { FileSender } from './direct-send.ts'
import { StoreError, storeErrorFrom } from './errors.ts'
import { beginIngest, type DiskIngest, type IngestDeps, resumeIngest } from './ingest.ts'
import { findWholeBlob, hasBytes, removeBytes } from './publish.ts'

/** Content on disk. Its ingests can tell their own digest. */
export interface DiskContent extends ContentProvider, ContentManager, ContentIngester {
  /** Whether the bytes of a blob that is stored lie on the disk, in their full length. */
  hasBytes(blob: BlobInfo): boolean
  begin(algorithm?: DigestAlgorithm): Promise<DiskIngest>
  resume(id: IngestID): Promise<DiskIngest>
}

/**
 * `stat` costs no more than a look-up. Content whose file is gone or has another length is not there for `stat`, so
 * that storing it again mends it, and `content-corrupt` for `open`. Bytes are not hashed again when they are read:
 * whoever needs that pipes them through a `DigestVerifier`.
 */
export function createDiskContent(deps: IngestDeps & { readonly sender?: FileSender }): DiskContent {
  const { database, layout, now, sender } = deps
  const streams = createBlobStreams(sender)
  return {
    async stat(digest) {
      const row = findWholeBlob(deps, digest)
      if (row === undefined) return undefined
      touchBlob(database, row, now())
      return { digest, size: row.size }
    },

    hasBytes: blob => hasBytes(deps, blob),

    async open(digest, range) {
      const row = findBlob(database, digest)
      if (row === undefined)
        throw new StoreError('content-missing', `Cannot open content ${digest}: it is not stored`, {
          detail: [digest],
        })
      return openBlob(streams, layout.blob(digest), row, range)
    },

    begin: algorithm => beginIngest(deps, algorithm),
    resume: id => resumeIngest(deps, id),

    async *list() {
      let after = ''
      while (true) {
        const page = listBlobs(database, after, LIST_PAGE)
        yield* page.map(({ digest, size }) => ({ digest, size }))
        const last = page.at(-1)
        if (last === undefined || page.length < LIST_PAGE) return
        after = last.digest
      }
    },

    async delete(digest) {
      if (database.write(() => deleteBlob(database, digest))) await removeBytes(deps, [digest])
    },
  }
}

const LIST_PAGE = 1000

/** Manifests and configs: reading these takes less time than asking another thread to. */
const SMALL_BYTES = 64 * 1024

async function openBlob(
  streams: BlobStreams,
  path: string,
  blob: BlobInfo,
  range: ByteRange | undefined,
): Promise<Readable> {
  const start = range?.start ?? 0
  const end = Math.min(range?.end ?? Number.POSITIVE_INFINITY, blob.size - 1)
  try {
    if (blob.size <= SMALL_BYTES) return readableOf(readSmall(path, blob).subarray(start, end + 1))
    const file = await openWhole(path, blob)
    return streams.open(file, { start, end })
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw corrupt(blob, 'its file is missing', error)
    throw storeErrorFrom(error, `Cannot open content ${blob.digest}`)
  }
}

async function openWhole(path: string, blob: BlobInfo): Promise<number> {
  const file = await promisify(openFile)(path, 'r')
  const { size } = await promisify(fstat)(file)
  if (size === blob.size) return file
  await promisify(closeFile)(file)
  throw corrupt(blob, `want ${blob.size} bytes, got ${size}`)
}

function readSmall(path: string, blob: BlobInfo): Buffer {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.allocUnsafe(blob.size + 1)
    const size = readSync(file, bytes, 0, bytes.length, 0)
    if (size === blob.size) return bytes.subarray(0, size)
    throw corrupt(blob, `want ${blob.size} bytes, got ${size > blob.size ? 'more' : size}`)
  } finally {
    closeSync(file)
  }
}

function readableOf(bytes: Buffer): Readable {
  return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
}

function corrupt({ digest }: { readonly digest: Digest }, state: string, cause?: unknown): StoreError {
  return new StoreError('content-corrupt', `Cannot open content ${digest}: ${state}`, {
    cause,
    hint: 'store it again: pull or push the image that it belongs to',
  })
}
