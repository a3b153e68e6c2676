/**
 * A copy of a store that is in use. The copy is a store itself: to restore is to use it as one.
 *
 * The database comes first, as a snapshot, and then the content that it names. Garbage collection may take some of that
 * meanwhile (a tag was deleted after the snapshot); then a newer snapshot is taken, which needs little that is not
 * copied yet. The database of the copy is replaced at the very end, at once, so that a copy that was not finished leaves
 * the one before it whole; what only that one needed goes last.
 */
import { constants, existsSync, readdirSync, statSync } from 'node:fs'
import { copyFile, link, mkdir, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { BlobInfo } from '../oci/content.ts'
import { CodedError, isErrno } from '../oci/errors.ts'
import { copyFiles } from './backup-files.ts'
import { findBlob, listBlobs } from './blob-rows.ts'
import { Database } from './database.ts'
import { StoreError, storeErrorFrom } from './errors.ts'
import { makeFolderPath } from './folder-path.ts'
import { blobFolders } from './gc.ts'
import type { DiskStore } from './open.ts'
import { makePrivateFile } from './private-file.ts'
import { nodeStoreFiles } from './store-files.ts'
import { digestOfPath, makeFolders, type StoreLayout, storeLayout } from './store-layout.ts'
import { syncFile } from './sync-file.ts'

export interface BackupReport {
  /** All content of the copy. */
  readonly blobs: number
  readonly bytes: number
  /** What of it was not there from an earlier backup. */
  readonly added: number
  /** What of `added` shares its space with the store, because both are on one file system. */
  readonly linked: number
  /** Content of an earlier backup that is needed no more. */
  readonly removed: number
  /** Content that the store itself has lost; `verify` tells more. */
  readonly lost: readonly BlobInfo[]
}

/**
 * @param files of others in the store's folder, relative to it: they are copied too, where they are there
 * @throws StoreError `store-invalid` for a directory that holds something else, or a store in use
 */
export async function backUpStore(
  store: DiskStore,
  directory: string,
  signal: AbortSignal,
  files: readonly string[] = [],
): Promise<BackupReport> {
  const target = storeLayout(resolve(directory))
  try {
    requireBackup(store, target)
    makeFolderPath(target.root, 0o700)
    await using copy = await copyInto(store, target, signal)
    await copyFiles(store.root, target.root, files)
    return await copy.finish()
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof CodedError ? error : storeErrorFrom(error, `Cannot back up to ${target.root}`)
  }
}

const ATTEMPTS = 10

interface Copy extends AsyncDisposable {
  finish(): Promise<BackupReport>
}

async function copyInto(store: DiskStore, target: StoreLayout, signal: AbortSignal): Promise<Copy> {
  const partial = `${target.database}.partial`
  makeFolders(target, nodeStoreFiles)
  const counts = { added: 0, linked: 0 }
  const remove = (): Promise<void> => rm(partial, { force: true })
  return {
    async finish() {
      for (let attempt = 1; ; attempt++) {
        await remove()
        const snapshot = takeSnapshot(store, partial)
        try {
          const gone = await copyContent(store, snapshot, target, counts, signal)
          // What has no row any more was deleted since; what has one and no bytes is lost, here as there.
          const isStale = gone.some(({ digest }) => findBlob(store.disk.database, digest) === undefined)
          if (isStale && attempt < ATTEMPTS) continue
          if (isStale) throw tooBusy(target)
          const totals = snapshot.one<{ blobs: number; bytes: number }>(
            'SELECT count(*) AS blobs, coalesce(sum(size), 0) AS bytes FROM blobs',
          )
          snapshot.close()
          await publishDatabase(partial, target)
          const removed = await removeUnneeded(target)
          return { blobs: totals?.blobs ?? 0, bytes: totals?.bytes ?? 0, ...counts, removed, lost: gone }
        } finally {
          snapshot.close()
        }
      }
    },
    [Symbol.asyncDispose]: remove,
  }
}

function requireBackup(store: DiskStore, { root, database }: StoreLayout): void {
  const refuse = (state: string): never => {
    throw new StoreError('store-invalid', `Cannot back up to ${root}: ${state}`)
  }
  if (root === store.root || `${root}/`.startsWith(`${store.root}/`)) refuse('it is in the store itself')
  const stats = statSync(root, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isDirectory()) refuse('it is not a folder')
  const names = readdirSync(root).filter(name => name !== 'lost+found')
  if (names.length > 0 && !names.some(name => name.startsWith('metadata.db')) && !names.includes('blobs'))
    refuse('it holds something else')
  // Its log may hold what its database does not, and whoever has it open would go on with what is no more.
  if (existsSync(`${database}-wal`)) refuse('it is in use as a store')
}

/** A snapshot without what is about this moment only. The caller closes it. */
function takeSnapshot(store: DiskStore, path: string): Database {
  makePrivateFile(path)
  store.disk.database.run('VACUUM INTO ?', path)
  const snapshot = new Database(path)
  snapshot.exec('PRAGMA journal_mode = DELETE; DELETE FROM uploads; DELETE FROM ingest_locks')
  return snapshot
}

const PAGE = 500

/** Returns what the store does not have. */
async function copyContent(
  store: DiskStore,
  snapshot: Database,
  target: StoreLayout,
  counts: { added: number; linked: number },
  signal: AbortSignal,
): Promise<readonly BlobInfo[]> {
  const gone: BlobInfo[] = []
  const folders = new Set<string>()
  for (let page = listBlobs(snapshot, '', PAGE); page.length > 0; ) {
    for (const { digest, size } of page) {
      signal.throwIfAborted()
      const to = target.blob(digest)
      if ((await sizeOf(to)) === size) continue
      await mkdir(dirname(to), { recursive: true, mode: 0o700 })
      const how = await copyBlob(store.disk.layout.blob(digest), to, size)
      if (how === 'gone') gone.push({ digest, size })
      else {
        counts.added++
        if (how === 'linked') counts.linked++
        folders.add(dirname(to))
      }
    }
    page = listBlobs(snapshot, page.at(-1)?.digest ?? '', PAGE)
  }
  for (const folder of folders) nodeStoreFiles.syncFolderSync(folder)
  for (const folder of target.algorithmFolders) nodeStoreFiles.syncFolderSync(folder)
  return gone
}

/** Content never changes, so a second name for it is as good as a copy, except against damage of the disk. */
async function copyBlob(from: string, to: string, size: number): Promise<'linked' | 'copied' | 'gone'> {
  if ((await sizeOf(from)) !== size) return 'gone'
  await rm(to, { force: true })
  try {
    await link(from, to)
    return 'linked'
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'gone'
    if (!isErrno(error, 'EXDEV', 'EMLINK', 'EPERM', 'ENOTSUP')) throw error
  }
  const partial = `${to}.partial`
  try {
    await copyFile(from, partial, constants.COPYFILE_FICLONE)
    await syncFile(partial)
    await rename(partial, to)
    return 'copied'
  } catch (error) {
    await rm(partial, { force: true })
    if (isErrno(error, 'ENOENT')) return 'gone'
    throw error
  }
}

async function publishDatabase(partial: string, target: StoreLayout): Promise<void> {
  await syncFile(partial)
  await rename(partial, target.database)
  nodeStoreFiles.syncFolderSync(target.root)
}

async function removeUnneeded(target: StoreLayout): Promise<number> {
  const database = new Database(target.database)
  let removed = 0
  try {
    for (const folder of await blobFolders(target))
      for (const name of await readdir(folder)) {
        const path = join(folder, name)
        const digest = digestOfPath(path)
        if (digest !== undefined && findBlob(database, digest) !== undefined) continue
        if (digest === undefined && !name.endsWith('.partial')) continue
        await unlink(path)
        removed++
      }
  } finally {
    database.close()
  }
  return removed
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function tooBusy({ root }: StoreLayout): StoreError {
  return new StoreError(
    'store-busy',
    `Cannot back up to ${root}: the store deletes faster than it is copied`,
    {
      hint: 'try again when no garbage is collected',
    },
  )
}
