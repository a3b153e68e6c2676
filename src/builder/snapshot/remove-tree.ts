import { randomBytes } from 'node:crypto'
import { lstatSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { isErrno } from '../../oci/errors.ts'

const ENTRIES_PER_TURN = 500

/**
 * Removes a file or a whole directory; nothing there is success. Follows no symlink. The tree may be deeper than the
 * longest path: a directory that is not empty is moved up to the top before it is emptied, so no path grows.
 */
export async function removeTree(path: string | Buffer): Promise<void> {
  const root = Buffer.from(path)
  if (!isDirectory(root)) return unlinkIfThere(root)
  const prefix = randomBytes(8).toString('hex')
  const pending = [root]
  let entries = 0
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of readdirSync(directory, { encoding: 'buffer', withFileTypes: true })) {
      const child = Buffer.concat([directory, Buffer.from('/'), entry.name])
      if (!entry.isDirectory()) unlinkIfThere(child)
      else if (!removedWhenEmpty(child)) {
        const top = Buffer.concat([root, Buffer.from(`/${prefix}-${entries}`)])
        renameSync(child, top)
        pending.push(top)
      }
      if (++entries % ENTRIES_PER_TURN === 0) await setImmediate()
    }
    if (directory !== root) rmdirSync(directory)
  }
  rmdirSync(root)
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

function unlinkIfThere(path: Buffer): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}
