import { closeSync, fstatSync, openSync, renameSync } from 'node:fs'
import { loadLinux } from '../../linux/linux.ts'
import { isErrno } from '../../oci/errors.ts'
import { createOwnedDirectory, namesIn } from './owned-directory.ts'
import { cacheMountDirectory } from './stale-state.ts'

export interface PrunedCacheMounts {
  readonly count: number
  /** On disk. */
  readonly bytes: number
}

const KEY = /^[0-9a-f]{64,}$/

/**
 * Empties the caches of `RUN --mount=type=cache` that no step uses. Their locks stay, for whoever waits for one.
 * @param usedBefore milliseconds since the epoch; those used later stay
 */
export async function pruneCacheMounts(
  storeRoot: string,
  usedBefore: number,
  signal: AbortSignal,
): Promise<PrunedCacheMounts> {
  const linux = await loadLinux()
  const parent = cacheMountDirectory(storeRoot)
  let count = 0
  let bytes = 0
  for (const key of namesIn(parent).filter(name => KEY.test(name))) {
    for (const slot of namesIn(`${parent}/${key}`)) {
      signal.throwIfAborted()
      const lock = openLock(`${parent}/${key}/${slot}/lock`)
      if (lock === undefined) continue
      // Owned, so that the next one removes the rest of what we leave when we are killed.
      const trash = createOwnedDirectory(linux, parent)
      try {
        const isUnused = fstatSync(lock).mtimeMs < usedBefore && linux.tryLock(lock)
        if (isUnused && takeAway(`${parent}/${key}/${slot}/fs`, `${trash.path}/fs`)) count++
      } finally {
        closeSync(lock)
        bytes += await trash.remove()
      }
    }
  }
  return { count, bytes }
}

/** Undefined where it was never used. */
function openLock(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

function takeAway(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
