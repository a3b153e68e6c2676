import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { isErrno } from '../../oci/errors.ts'
import { holdDirectory } from './held-directory.ts'

const ENTRIES_PER_TURN = 500
/** In which stat(2) counts, whatever the file system's own. */
const BLOCK_BYTES = 512

/**
 * Removes a file or a whole directory; nothing there is success. Follows no symlink, also none that somebody puts in
 * the place of a directory meanwhile. The tree may be deeper than the
 * longest path: a directory that is not empty is moved up to the top before it is emptied, so no path grows.
 * @returns the bytes on disk that this freed; those of a file with another name elsewhere are not
 */
export async function removeTree(path: string | Buffer): Promise<number> {
  const root = Buffer.from(path)
  if (!isDirectory(root)) return unlinkIfThere(root)
  const prefix = randomBytes(8).toString('hex')
  const pending: Buffer[] = [root]
  let entries = 0
  let freed = 0
  using held = holdDirectory(root)
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    using place = holdDirectory(directory)
    for (const entry of readdirSync(place.at(), { encoding: 'buffer', withFileTypes: true })) {
      const child = place.at(entry.name)
      if (!entry.isDirectory()) freed += unlinkIfThere(child)
      else if (!removedWhenEmpty(child)) {
        const top = held.at(Buffer.from(`${prefix}-${entries}`))
        renameSync(child, top)
        pending.push(top)
      }
      if (++entries % ENTRIES_PER_TURN === 0) await setImmediate()
    }
    if (directory !== root) rmdirSync(directory)
  }
  rmdirSync(root)
  return freed
}

function isDirectory(path: Buffer): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function removedWhenEmpty(path: Buffer): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false
    throw error
  }
}

function unlinkIfThere(path: Buffer): number {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
  return stats?.nlink === 1 ? stats.blocks * BLOCK_BYTES : 0
}
