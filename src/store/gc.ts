/**
 * Removes what nobody needs, while everybody works on.
 *
 * Needed is: what a tag points at, with all that it references and all manifests whose subject it is; the layers of
 * cache records; and whatever was touched (stored, asked for, linked) within the grace period, with what it
 * references. Everything is decided where it can no longer change, inside short transactions of a few hundred manifests,
 * links or blobs. Rows go first, bytes later (`publish.ts` says why a
 * push at the same time is safe).
 */
import type { Stats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BlobInfo, IngestID } from '../oci/content.ts'
import type { Digest } from '../oci/digest.ts'
import { isErrno } from '../oci/errors.ts'
import { findBlob } from './blob-rows.ts'
import { storeErrorFrom } from './errors.ts'
import { previewSweep } from './gc-preview.ts'
import { sweepBlobs, sweepRepositories, sweepTocs } from './gc-rows.ts'
import type { IngestLocks } from './ingest-locks.ts'
import { type PublishDeps, removeBytes } from './publish.ts'
import type { Store } from './store.ts'
import { digestOfPath, ingestOfName, type StoreLayout } from './store-layout.ts'
import { writeIfPossible } from './touch.ts'

export interface GarbageOptions {
  /**
   * The grace: what was touched within it stays. Under `TOUCH_INTERVAL_MS`, content that an upload under way counts
   * on may go, and the upload fails; nothing that is whole is ever damaged.
   */
  readonly olderThanMs: number
  /** Reports what would go, and removes nothing. */
  readonly dryRun: boolean
  readonly now: () => number
  readonly signal: AbortSignal
}

export interface GarbageReport {
  /** Content that went, in byte order. */
  readonly digests: readonly Digest[]
  /** Freed on disk, abandoned ingests and orphaned files included. */
  readonly bytes: number
  readonly ingests: readonly IngestID[]
}

/** A store whose garbage can be collected: one on disk. */
export interface CollectableStore extends Store {
  readonly disk: PublishDeps & { readonly locks: IngestLocks }
}

/** @throws StoreError; what was removed before stays removed, and the next run takes the rest */
export async function collectGarbage(
  store: CollectableStore,
  options: GarbageOptions,
): Promise<GarbageReport> {
  const { disk } = store
  const { dryRun, signal } = options
  const cutoff = options.now() - options.olderThanMs
  try {
    // On a full disk this makes the room that the database needs.
    const ingests = await sweepIngests(disk, cutoff, options)
    const swept = dryRun
      ? await previewSweep(disk.layout.database, cutoff, signal)
      : await sweepRows(disk, cutoff, signal)
    const digests = swept.map(blob => blob.digest)
    const orphans = await sweepOrphans(disk, cutoff, new Set(digests), options)
    return {
      digests,
      bytes: sum(swept.map(blob => blob.size)) + orphans + ingests.bytes,
      ingests: ingests.ids,
    }
  } catch (error) {
    throw storeErrorFrom(error, 'Cannot collect garbage')
  }
}

async function sweepRows(disk: PublishDeps, cutoff: number, signal: AbortSignal): Promise<BlobInfo[]> {
  const swept: BlobInfo[] = []
  for (const _ of sweepRepositories(disk.database, cutoff)) {
    signal.throwIfAborted()
    await nextTurn()
  }
  for (const blobs of sweepBlobs(disk.database, cutoff)) {
    swept.push(...blobs)
    // A window at a time: a full disk has room again for what the rest writes to the database.
    await removeBytes(
      disk,
      blobs.map(blob => blob.digest),
    )
    signal.throwIfAborted()
    await nextTurn()
  }
  sweepTocs(disk.database)
  return swept
}

/** Files without a row, left by a process that was killed between a rename and its commit. Returns their bytes. */
async function sweepOrphans(
  disk: PublishDeps,
  cutoff: number,
  swept: ReadonlySet<Digest>,
  { dryRun, signal }: GarbageOptions,
): Promise<number> {
  let bytes = 0
  for (const folder of await blobFolders(disk.layout)) {
    signal.throwIfAborted()
    const orphans = (await orphansIn(disk, folder)).filter(
      ({ digest, changedAt }) => changedAt < cutoff && !swept.has(digest),
    )
    bytes += sum(orphans.map(({ size }) => size))
    if (!dryRun)
      await removeBytes(
        disk,
        orphans.map(({ digest }) => digest),
      )
  }
  return bytes
}

interface Orphan extends BlobInfo {
  /** Milliseconds since the epoch. */
  readonly changedAt: number
}

/** The files of a blob folder that no row vouches for. */
export async function orphansIn(
  { database }: Pick<PublishDeps, 'database'>,
  folder: string,
): Promise<readonly Orphan[]> {
  const orphans: Orphan[] = []
  for (const name of await namesIn(folder)) {
    const digest = digestOfPath(join(folder, name))
    if (digest === undefined || findBlob(database, digest) !== undefined) continue
    const stats = await statsOf(join(folder, name))
    if (stats !== undefined) orphans.push({ digest, size: stats.size, changedAt: stats.mtimeMs })
  }
  return orphans
}

async function sweepIngests(
  { database, files, layout, locks }: CollectableStore['disk'],
  cutoff: number,
  { dryRun, signal }: GarbageOptions,
): Promise<{ ids: IngestID[]; bytes: number }> {
  const ids = new Set<IngestID>()
  let bytes = 0
  for (const name of await namesIn(layout.ingests)) {
    signal.throwIfAborted()
    const path = join(layout.ingests, name)
    const id = ingestOfName(name)
    const stats = await statsOf(path)
    if (stats === undefined) continue
    if (id !== 'trash' && (stats.mtimeMs >= cutoff || locks.isHeld(id))) continue
    if (id !== 'trash' && name === id) ids.add(id)
    bytes += stats.size
    if (!dryRun) await files.unlink(path)
  }
  if (!dryRun && ids.size > 0)
    writeIfPossible(database, () => {
      for (const id of ids) database.run('DELETE FROM uploads WHERE id = ?', id)
      for (const id of ids) database.run('DELETE FROM ingest_locks WHERE id = ?', id)
    })
  return { ids: [...ids].sort(), bytes }
}

export async function blobFolders({ algorithmFolders }: StoreLayout): Promise<readonly string[]> {
  const folders: string[] = []
  for (const folder of algorithmFolders)
    for (const prefix of await namesIn(folder)) folders.push(join(folder, prefix))
  return folders
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

/** Undefined for what is no file of ours, or was taken by another process meanwhile. */
async function statsOf(path: string): Promise<Stats | undefined> {
  try {
    const stats = await lstat(path)
    return stats.isFile() ? stats : undefined
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
