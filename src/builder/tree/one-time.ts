import type { FileTree } from './file-tree.ts'

/** The same files, all of one time: seconds since the epoch. */
export function withOneTime(tree: FileTree, mtime: number): FileTree {
  return {
    async stat(path) {
      const node = await tree.stat(path)
      if (node === undefined) return undefined
      const { mtimeNanoseconds: _, ...rest } = node
      return { ...rest, mtime }
    },
    list: path => tree.list(path),
    digest: path => tree.digest(path),
    prepare: (paths, signal) => tree.prepare(paths, signal),
    open: path => tree.open(path),
  }
}
