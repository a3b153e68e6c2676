import { lstat, readdir, rename } from 'node:fs/promises'
import { isErrno } from '../../oci/errors.ts'
import { type HeldDirectory, holdDirectory } from '../snapshot/held-directory.ts'
import { removeTree } from '../snapshot/remove-tree.ts'

/**
 * Moves what is in `from` into `to`: a directory goes into a directory, anything else replaces what is there. Follows
 * no symlink, also none that somebody who may write to `to` puts there meanwhile.
 * @param from on the same file system
 */
export async function mergeDirectories(from: Buffer, to: Buffer): Promise<void> {
  using source = holdDirectory(from)
  using target = holdDirectory(to)
  for (const name of await readdir(source.at(), { encoding: 'buffer' })) await move(source, target, name)
}

async function move(source: HeldDirectory, target: HeldDirectory, name: Buffer): Promise<void> {
  const [from, to] = [source.at(name), target.at(name)]
  const [moved, there] = [await lstat(from), await lstatOrUndefined(to)]
  if (moved.isDirectory() && there?.isDirectory()) return mergeDirectories(from, to)
  if (there !== undefined && (moved.isDirectory() || there.isDirectory())) await removeTree(to)
  await rename(from, to)
}

async function lstatOrUndefined(path: Buffer) {
  try {
    return await lstat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
