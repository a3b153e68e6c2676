import { renameSync, statSync } from 'node:fs'
import { loadLinux } from '../../linux/linux.ts'
import { createOwnedDirectory, namesIn } from './owned-directory.ts'
import { removeUnlessInUse } from './snapshots-in-use.ts'
import { bootDirectory, removeStaleState } from './stale-state.ts'

export interface PrunedSnapshots {
  readonly count: number
  /** On disk. */
  readonly bytes: number
}

const SNAPSHOT = /^(copy-)?[0-9a-f]{64,}$/

/**
 * Removes committed snapshots that no process uses, and what killed processes have left. Builds may go on meanwhile:
 * what they need again, they unpack again.
 * @param madeBefore milliseconds since the epoch; newer ones stay
 */
export async function pruneSnapshots(
  storeRoot: string,
  madeBefore: number,
  signal: AbortSignal,
): Promise<PrunedSnapshots> {
  const linux = await loadLinux()
  await removeStaleState(storeRoot)
  const directory = await bootDirectory(storeRoot)
  let count = 0
  let bytes = 0
  for (const name of namesIn(directory).filter(name => SNAPSHOT.test(name))) {
    signal.throwIfAborted()
    const path = `${directory}/${name}`
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs
    if (made === undefined || made >= madeBefore) continue
    // Owned, so that the next one removes the rest of what we leave when we are killed.
    const trash = createOwnedDirectory(linux, directory)
    if (removeUnlessInUse(linux, path, () => renameSync(path, `${trash.path}/snapshot`))) count++
    bytes += await trash.remove()
  }
  return { count, bytes }
}
