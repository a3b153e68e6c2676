import { closeSync, renameSync, statSync } from 'node:fs'
import { loadLinux } from '../../linux/linux.ts'
import { createOwnedDirectory, namesIn, removeAbandoned } from '../snapshot/owned-directory.ts'
import { tryLockRepository } from './git-lock.ts'
import { gitDirectory } from './git-sources.ts'

/**
 * Removes fetched Git repositories that no process uses, and what killed processes have left. What a build needs again,
 * it fetches again.
 * @param madeBefore milliseconds since the epoch; newer ones stay
 * @returns the bytes that this freed
 */
export async function pruneGit(storeRoot: string, madeBefore: number, signal: AbortSignal): Promise<number> {
  const directory = gitDirectory(storeRoot)
  const names = namesIn(directory)
  if (names.length === 0) return 0
  const linux = await loadLinux()
  await removeAbandoned(linux, directory, async () => undefined)
  let bytes = 0
  for (const name of names.filter(name => /^[0-9a-f]{64}$/.test(name))) {
    signal.throwIfAborted()
    const path = `${directory}/${name}`
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs
    if (made === undefined || made >= madeBefore) continue
    const lock = tryLockRepository(linux, path)
    if (lock === undefined) continue
    // Owned, so that the next one removes the rest of what we leave when we are killed.
    const trash = createOwnedDirectory(linux, directory)
    try {
      renameSync(path, `${trash.path}/repository`)
    } finally {
      closeSync(lock)
      bytes += await trash.remove()
    }
  }
  return bytes
}
