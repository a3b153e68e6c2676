import { lstatSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { tryLoadLinux } from '../linux/linux.ts'
import { isErrno } from '../oci/errors.ts'
import { pruneGit } from './fetch/prune-git.ts'
import { logRoot } from './logs/build-logs.ts'
import { pruneLogs } from './logs/prune-logs.ts'
import { namesIn } from './snapshot/owned-directory.ts'
import { pruneCacheMounts } from './snapshot/prune-cache-mounts.ts'
import { pruneSnapshots } from './snapshot/prune-snapshots.ts'

export interface PruneOptions {
  readonly storeRoot: string
  /** Milliseconds since the epoch; what was made later stays. */
  readonly madeBefore: number
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly signal: AbortSignal
}

export interface PrunedCache {
  readonly snapshots: number
  readonly cacheMounts: number
  /** On disk, of snapshots and all the rest. */
  readonly bytes: number
}

/** Who makes a temporary file takes its name away at once; so long after, he was killed before he could. */
const TEMPORARY_MS = 60_000

/**
 * Removes what builds keep to be faster, other than cache records: unpacked layers, caches that steps mount, fetched Git
 * repositories, what was learnt of the files of build contexts, what their steps printed, and temporary files of killed
 * processes. What a build under way needs stays.
 */
export async function pruneCache({ storeRoot, madeBefore, now, signal }: PruneOptions): Promise<PrunedCache> {
  // Without its calls nobody can tell what is in use; and nothing of it was made here.
  const linux = await tryLoadLinux()
  const snapshots = linux === undefined ? NOTHING : await pruneSnapshots(storeRoot, madeBefore, signal)
  const cacheMounts = linux === undefined ? NOTHING : await pruneCacheMounts(storeRoot, madeBefore, signal)
  const repositories = linux === undefined ? 0 : await pruneGit(storeRoot, madeBefore, signal)
  const digests = removeFiles(join(storeRoot, 'context-digests'), madeBefore)
  const logs = linux === undefined ? 0 : await pruneLogs(linux, logRoot(storeRoot), madeBefore)
  const temporary = removeFiles(join(storeRoot, 'tmp'), now - TEMPORARY_MS)
  return {
    snapshots: snapshots.count,
    cacheMounts: cacheMounts.count,
    bytes: snapshots.bytes + cacheMounts.bytes + repositories + digests + logs + temporary,
  }
}

const NOTHING = { count: 0, bytes: 0 }

/** Returns the bytes that this freed. */
function removeFiles(directory: string, changedBefore: number): number {
  let bytes = 0
  for (const name of namesIn(directory)) {
    const path = join(directory, name)
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (!stats?.isFile() || stats.mtimeMs >= changedBefore) continue
    bytes += unlinkIfThere(path) ? stats.blocks * 512 : 0
  }
  return bytes
}

function unlinkIfThere(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
