import { byteStringOf } from '../../oci/byte-string.ts'
import { BuildError } from '../errors.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import { treeBelow } from '../tree/tree-below.ts'
import { pathBelowRoot } from '../tree/walk.ts'
import { displayRemote, type GitReference } from './git-reference.ts'

/** Whether it is no subdirectory but the repository itself. */
export function isWhole(subdirectory: string): boolean {
  return pathBelowRoot(subdirectory) === ''
}

/** The wanted directory of a repository. @throws BuildError `source-missing` */
export async function subdirectoryOf(
  tree: FileTree,
  { remote, subdirectory }: GitReference,
): Promise<FileTree> {
  if (isWhole(subdirectory)) return tree
  const path = await resolvePath(tree, byteStringOf(pathBelowRoot(subdirectory)))
  const node = path === undefined ? undefined : await tree.stat(path)
  if (path !== undefined && node?.type === 'directory') return treeBelow(tree, path)
  throw new BuildError(
    'source-missing',
    `Cannot read ${displayRemote(remote)}: ${JSON.stringify(subdirectory)} is ${node === undefined ? 'not there' : 'not a directory'}`,
  )
}
