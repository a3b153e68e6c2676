import type { ByteString } from '../../oci/byte-string.ts'
import { joinPath } from '../../oci/path.ts'
import type { FileTree } from './file-tree.ts'

/** A directory of a tree as a tree. */
export function treeBelow(tree: FileTree, directory: ByteString): FileTree {
  const inside = (path: ByteString) => joinPath(directory, path)
  return {
    stat: path => tree.stat(inside(path)),
    list: path => tree.list(inside(path)),
    digest: path => tree.digest(inside(path)),
    prepare: (paths, signal) => tree.prepare(paths.map(inside), signal),
    open: path => tree.open(inside(path)),
  }
}
