import { closeSync, constants } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import { pathInRoot } from '../../linux/in-root.ts'
import { type FileTime, type Linux, O_PATH } from '../../linux/linux.ts'
import { inodeOf } from './place.ts'

/** Times of directories below an open `root`: set at the end, as every new child changes them. */
export class DirectoryTimes {
  readonly #linux: Linux
  readonly #root: number
  readonly #byInode = new Map<bigint, { readonly path: Buffer; readonly time: FileTime }>()

  constructor(linux: Linux, root: number) {
    this.#linux = linux
    this.#root = root
  }

  /** @param directory open */
  remember(directory: number, time: FileTime): void {
    this.#byInode.set(inodeOf(directory), { path: pathInRoot(this.#root, directory), time })
  }

  apply(): void {
    for (const [inode, { path, time }] of this.#byInode) {
      const directory = this.#openIfThere(path)
      if (directory === undefined) continue
      try {
        // A directory that was replaced since is another inode.
        if (inodeOf(directory) === inode) this.#linux.utimensat(directory, '.', time)
      } finally {
        closeSync(directory)
      }
    }
  }

  #openIfThere(path: Buffer): number | undefined {
    try {
      return this.#linux.openInRoot(this.#root, path, O_PATH | constants.O_DIRECTORY)
    } catch (error) {
      if (isLinuxError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
      throw error
    }
  }
}
