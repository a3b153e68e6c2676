/**
 * Looks whether the content is what it is called: every blob is hashed. What is not goes to `quarantine/`, so that
 * nobody is served it; its row stays, for images need it: such content counts as not there for whoever wants to store
 * it, and storing it again (a push, a pull, a build) mends them all.
 */
import { createReadStream, type Stats, statSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { BlobInfo } from '../oci/content.ts'
import { type Digest, Digester, digestAlgorithm } from '../oci/digest.ts'
import { isErrno } from '../oci/errors.ts'
import { findBlob, listBlobs } from './blob-rows.ts'
import { storeErrorFrom } from './errors.ts'
import { blobFolders, type CollectableStore, orphansIn } from './gc.ts'
import { deleteUnneeded } from './gc-rows.ts'
import { type NeededBy, neededBy } from './needed-by.ts'

export interface ScrubOptions {
  /** Reads no more per second, over time; as fast as the disk without it. */
  readonly bytesPerSecond?: number
  readonly signal: AbortSignal
  readonly onLost: (lost: LostContent) => void
}

export interface LostContent extends BlobInfo {
  /** What is wrong: `its file is missing`. */
  readonly state: string
  /** Where the bytes are now, if there were some. */
  readonly quarantined?: string
  readonly neededBy: NeededBy
}

export interface ScrubReport {
  readonly blobs: number
  readonly bytes: number
  /** Content that something needs and that is not there. */
  readonly lost: readonly LostContent[]
  /** Content that was damaged, and that nothing needs: it is gone. */
  readonly dropped: readonly Digest[]
  /** Files without a row; garbage collection deletes them. */
  readonly orphans: number
}

/** @throws StoreError; the signal's reason */
export async function scrubContent(store: CollectableStore, options: ScrubOptions): Promise<ScrubReport> {
  const { disk } = store
  const lost: LostContent[] = []
  const dropped: Digest[] = []
  const pace = createPace(options)
  let [blobs, bytes] = [0, 0]
  try {
    for (let after = '', page = listBlobs(disk.database, after, PAGE); page.length > 0; ) {
      for (const blob of page) {
        const finding = await examine(disk, blob, pace, options.signal)
        blobs++
        bytes += blob.size
        if (finding !== undefined) {
          const loss = setAside(disk, blob, finding)
          if (loss === 'dropped') dropped.push(blob.digest)
          else if (loss !== undefined) {
            lost.push(loss)
            options.onLost(loss)
          }
        }
        after = blob.digest
      }
      page = listBlobs(disk.database, after, PAGE)
    }
    return { blobs, bytes, lost, dropped, orphans: await countOrphans(disk, options.signal) }
  } catch (error) {
    options.signal.throwIfAborted()
    throw storeErrorFrom(error, 'Cannot verify the store')
  }
}

const PAGE = 500
const CHUNK_BYTES = 1024 * 1024

type Disk = CollectableStore['disk']

interface Finding {
  readonly state: string
  /** The file that was looked at; undefined when there was none. */
  readonly file: Stats | undefined
}

/** Undefined when the bytes are right. */
async function examine(
  { layout }: Disk,
  { digest, size }: BlobInfo,
  pace: (bytes: number) => Promise<void>,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  signal.throwIfAborted()
  const path = layout.blob(digest)
  try {
    const file = await lstat(path)
    if (file.size !== size) return { state: `it has ${file.size} bytes instead of ${size}`, file }
    const digester = new Digester(digestAlgorithm(digest))
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES, signal })) {
      digester.update(chunk)
      await pace(chunk.length)
    }
    return digester.digest() === digest ? undefined : { state: 'its bytes have changed', file }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { state: 'its file is missing', file: undefined }
    // A disk that cannot read a sector says so this way.
    if (isErrno(error, 'EIO')) return { state: 'the disk cannot read it', file: await lstat(path) }
    throw error
  }
}

/** Undefined when it was collected or mended meanwhile. */
function setAside(disk: Disk, blob: BlobInfo, { state, file }: Finding): LostContent | 'dropped' | undefined {
  const { database, files, layout, now } = disk
  const path = layout.blob(blob.digest)
  if (file !== undefined) files.makeFolderSync(layout.quarantine)
  return database.write(() => {
    if (findBlob(database, blob.digest) === undefined) return undefined
    const current = statSync(path, { throwIfNoEntry: false })
    if (current?.ino !== file?.ino || current?.size !== file?.size) return undefined
    const quarantined = join(layout.quarantine, `${blob.digest.replace(':', '-')}-${now()}`)
    if (file !== undefined) files.renameSync(path, quarantined)
    if (deleteUnneeded(database, blob, Number.MAX_SAFE_INTEGER)) return 'dropped'
    return {
      digest: blob.digest,
      size: blob.size,
      state,
      neededBy: neededBy(database, blob.digest),
      ...(file !== undefined && { quarantined }),
    }
  })
}

async function countOrphans(disk: Disk, signal: AbortSignal): Promise<number> {
  let count = 0
  for (const folder of await blobFolders(disk.layout)) {
    signal.throwIfAborted()
    count += (await orphansIn(disk, folder)).length
  }
  return count
}

/** Waits so that the bytes so far do not come faster than they may. */
function createPace({ bytesPerSecond, signal }: ScrubOptions): (bytes: number) => Promise<void> {
  if (bytesPerSecond === undefined) return async () => undefined
  return async bytes => {
    await delay((bytes / bytesPerSecond) * 1000, undefined, { signal })
  }
}
