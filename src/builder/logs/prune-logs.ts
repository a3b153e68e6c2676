import { lstatSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Linux } from '../../linux/linux.ts'
import { createOwnedDirectory, namesIn, removeAbandoned } from '../snapshot/owned-directory.ts'
import { removeUnlessInUse } from '../snapshot/snapshots-in-use.ts'

/** Builds whose logs are kept, the one that asks among them. */
const KEPT_BUILDS = 20
/** Of all logs together; the newest build keeps its own whatever they take. */
const KEPT_BYTES = 2 * 1024 ** 3

const BUILD = /^\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{6}$/

/** Removes the logs of the oldest builds that are too many, or too much. Those of a running build stay. */
export async function removeOldLogs(
  linux: Linux,
  root: string,
  { builds = KEPT_BUILDS, bytes = KEPT_BYTES } = {},
): Promise<void> {
  let kept = 0
  let used = 0
  for (const path of buildsIn(root).toReversed()) {
    used += sizeOf(path)
    kept++
    if (kept > 1 && (kept > builds || used > bytes)) await removeBuild(linux, root, path)
  }
}

/**
 * Removes the logs of builds, other than of those that run.
 * @param madeBefore milliseconds since the epoch; newer ones stay
 * @returns the bytes that this freed
 */
export async function pruneLogs(linux: Linux, root: string, madeBefore: number): Promise<number> {
  await removeAbandoned(linux, root, async () => undefined)
  let freed = 0
  for (const path of buildsIn(root)) {
    const made = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs
    if (made !== undefined && made < madeBefore) freed += await removeBuild(linux, root, path)
  }
  return freed
}

/** Oldest first. */
function buildsIn(root: string): readonly string[] {
  return namesIn(root)
    .filter(name => BUILD.test(name))
    .sort()
    .map(name => join(root, name))
}

async function removeBuild(linux: Linux, root: string, path: string): Promise<number> {
  // Owned, so that the next one removes the rest of what we leave when we are killed.
  const trash = createOwnedDirectory(linux, root)
  removeUnlessInUse(linux, path, () => renameSync(path, `${trash.path}/logs`))
  return trash.remove()
}

function sizeOf(directory: string): number {
  return namesIn(directory).reduce(
    (sum, name) => sum + (lstatSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  )
}
