import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type {
  BlobInfo,
  ByteRange,
  ContentIngester,
  ContentManager,
  ContentProvider,
  IngestID,
} from '../oci/content.ts'
import type { Digest } from '../oci/digest.ts'
import { isErrno } from '../oci/errors.ts'
import { deleteBlob, findBlob, listBlobs, touchBlob } from './blob-rows.ts'
import { StoreError, storeErrorFrom } from './errors.ts'
import { beginIngest, type DiskIngest, type IngestDeps, resumeIngest } from './ingest.ts'
import { findWholeBlob, removeBytes } from './publish.ts'

/** Content on disk. Its ingests can tell their own digest. */
export interface DiskContent extends ContentProvider, ContentManager, ContentIngester {
  begin(): Promise<DiskIngest>
  resume(id: IngestID): Promise<DiskIngest>
}

/**
 * `stat` costs no more than a look-up. Content whose file is gone or has another length is not there for `stat`, so
 * that storing it again mends it, and `content-corrupt` for `open`. Bytes are not hashed again when they are read:
 * whoever needs that pipes them through a `DigestVerifier`.
 */
export function createDiskContent(deps: IngestDeps): DiskContent {
  const { database, layout, now } = deps
  return {
    async stat(digest) {
      const row = findWholeBlob(deps, digest)
      if (row === undefined) return undefined
      touchBlob(database, row, now())
      return { digest, size: row.size }
    },

    async open(digest, range) {
      const row = findBlob(database, digest)
      if (row === undefined)
        throw new StoreError('content-missing', `Cannot open content ${digest}: it is not stored`, {
          detail: [digest],
        })
      return openFile(layout.blob(digest), row, range)
    },

    begin: () => beginIngest(deps),
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

/** Larger chunks mean fewer trips between threads; beyond this nothing is gained. */
const CHUNK_BYTES = 1024 * 1024

/** Manifests and configs: for these, setting up a file stream costs more than the reading. */
const SMALL_BYTES = 64 * 1024

async function openFile(path: string, blob: BlobInfo, range: ByteRange | undefined): Promise<Readable> {
  const start = range?.start ?? 0
  const end = Math.min(range?.end ?? Number.POSITIVE_INFINITY, blob.size - 1)
  const file = await openWhole(path, blob)
  if (end - start < SMALL_BYTES) return readSmall(file, start, Math.max(0, end - start + 1))
  return file.createReadStream({ start, end, highWaterMark: CHUNK_BYTES })
}

async function openWhole(path: string, blob: BlobInfo): Promise<FileHandle> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw corrupt(blob, 'its file is missing', error)
    throw storeErrorFrom(error, `Cannot open content ${blob.digest}`)
  }
  const { size } = await file.stat()
  if (size === blob.size) return file
  await file.close()
  throw corrupt(blob, `want ${blob.size} bytes, got ${size}`)
}

async function readSmall(file: FileHandle, start: number, length: number): Promise<Readable> {
  const bytes = Buffer.allocUnsafe(length)
  let filled = 0
  try {
    while (filled < length) {
      const { bytesRead } = await file.read(bytes, filled, length - filled, start + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
  } finally {
    await file.close()
  }
  return Readable.from(filled === 0 ? [] : [bytes.subarray(0, filled)], { objectMode: false })
}

function corrupt({ digest }: { readonly digest: Digest }, state: string, cause?: unknown): StoreError {
  return new StoreError('content-corrupt', `Cannot open content ${digest}: ${state}`, {
    cause,
    hint: 'store it again: pull or push the image that it belongs to',
  })
}
