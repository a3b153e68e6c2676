/**
 * How bytes become content, and how they stop being it. The rule on which everything rests:
 *
 *   a file appears in `blobs/`, and is taken out of it, only inside a transaction that holds the write lock and
 *   looks at the blob's row
 *
 * So a row promises bytes, a file without a row is garbage at any moment, and a push that commits a digest while
 * garbage collection removes it is either before (the row is there, the bytes stay) or after (new bytes come).
 */
import { type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { BlobInfo, IngestID } from '../oci/content.ts'
import type { Digest } from '../oci/digest.ts'
import { isErrno } from '../oci/errors.ts'
import { type BlobRow, findBlob, hasBlobWithPrefix, putBlob } from './blob-rows.ts'
import type { Database } from './database.ts'
import { StoreError } from './errors.ts'
import type { StoreFile, StoreFiles } from './store-files.ts'
import { digestPrefix, type StoreLayout } from './store-layout.ts'

export interface PublishDeps {
  readonly database: Database
  readonly files: StoreFiles
  readonly layout: StoreLayout
  readonly now: () => number
}

/** A finished ingest: verified bytes in an open file. */
export interface FinishedIngest {
  readonly id: IngestID
  readonly file: StoreFile
}

/**
 * Makes the bytes content, durably, and ends the ingest's upload. Content that is already there keeps its bytes,
 * unless they are damaged: then the new ones replace them.
 * @throws StoreError `ingest-unknown` when the ingest was aborted meanwhile; it is unchanged after any error
 */
export async function publish(deps: PublishDeps, ingest: FinishedIngest, blob: BlobInfo): Promise<void> {
  const { database, files, layout, now } = deps
  const path = layout.ingest(ingest.id)
  const endUpload = (): void => {
    putBlob(database, blob, now())
    database.run('DELETE FROM uploads WHERE id = ?', ingest.id)
  }

  const isStored = database.write(() => {
    if (findWholeBlob(deps, blob.digest) === undefined) return false
    endUpload()
    return true
  }, 'relaxed')
  if (isStored) return files.unlink(path)

  files.makeFolderSync(dirname(layout.blob(blob.digest)))
  // At the same time, and with those of other ingests: one commit of the file system's journal may do for all.
  await Promise.all([ingest.file.sync(), syncBlobFolder(deps, blob.digest)])
  let isRenamed = false
  try {
    database.write(() => {
      renameIntoBlobs(files, ingest.id, path, layout.blob(blob.digest))
      isRenamed = true
      files.setModeSync(layout.blob(blob.digest), 0o444)
      files.syncFolderSync(dirname(layout.blob(blob.digest)))
      endUpload()
    })
  } catch (error) {
    if (isRenamed) takeBack(deps, blob.digest, path)
    throw error
  }
}

/** Undefined when there is no such content, or its bytes are not all there: it can then be stored again. */
export function findWholeBlob(deps: PublishDeps, digest: Digest): BlobRow | undefined {
  const row = findBlob(deps.database, digest)
  return row !== undefined && hasBytes(deps, row) ? row : undefined
}

export function hasBytes({ layout }: Pick<PublishDeps, 'layout'>, { digest, size }: BlobInfo): boolean {
  return fileStats(layout.blob(digest))?.size === size
}

/**
 * Takes the bytes of digests that have no row any more off the disk; those that have one stay. The lock is held for
 * a rename, not while the file system frees the space.
 */
export async function removeBytes(deps: PublishDeps, digests: readonly Digest[]): Promise<void> {
  const { database, files, layout } = deps
  for (let start = 0; start < digests.length; start += REMOVE_BATCH) {
    const trash = database.write(() => {
      const unused = digests
        .slice(start, start + REMOVE_BATCH)
        .filter(digest => findBlob(database, digest) === undefined)
      return unused.flatMap(digest => {
        const path = layout.trash()
        return renameIfThere(files, layout.blob(digest), path) ? [path] : []
      })
    }, 'relaxed')
    for (const path of trash) await files.unlink(path)
  }
}

const REMOVE_BATCH = 64

function renameIfThere(files: StoreFiles, from: string, to: string): boolean {
  try {
    files.renameSync(from, to)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

function fileStats(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

/** A blob whose row is there vouches for the folder: only then is its name known to be durable. */
async function syncBlobFolder({ database, files, layout }: PublishDeps, digest: Digest): Promise<void> {
  if (hasBlobWithPrefix(database, digestPrefix(digest))) return
  await files.syncFolder(dirname(dirname(layout.blob(digest))))
}

function renameIntoBlobs(files: StoreFiles, id: IngestID, from: string, to: string): void {
  if (renameIfThere(files, from, to)) return
  throw new StoreError('ingest-unknown', `Cannot commit ingest ${id}: it was aborted`)
}

/** The row could not be written: the bytes go back to be an ingest, which can be committed again. */
function takeBack(deps: PublishDeps, digest: Digest, path: string): void {
  const { database, files, layout } = deps
  database.write(() => {
    if (findBlob(database, digest) !== undefined) return
    if (renameIfThere(files, layout.blob(digest), path)) files.setModeSync(path, 0o600)
  }, 'relaxed')
}
