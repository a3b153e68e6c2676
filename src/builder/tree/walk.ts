import { posix } from 'node:path'
import type { ByteString } from '../../oci/byte-string.ts'
import { displayText } from '../../oci/byte-string.ts'
import { joinPath } from '../../oci/path.ts'
import { BuildError } from '../errors.ts'
import type { FileTree, TreeNode } from './file-tree.ts'

export interface WalkedNode {
  /** In the tree. */
  readonly path: ByteString
  readonly node: TreeNode
}

/**
 * All that lies below a directory, parents before children, names in byte order. Follows nothing.
 * @param enters false for a directory below which nothing is wanted
 * @throws BuildError `context-invalid` when something vanishes meanwhile; the signal's reason
 */
export async function* walkBelow(
  tree: FileTree,
  directory: ByteString,
  signal: AbortSignal,
  enters: (path: ByteString) => boolean = () => true,
): AsyncGenerator<WalkedNode, void, undefined> {
  const pending: ByteString[] = []
  const push = async (parent: ByteString) => {
    const names = await tree.list(parent)
    for (let at = names.length - 1; at >= 0; at--) pending.push(joinPath(parent, names[at] as ByteString))
  }
  await push(directory)
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    signal.throwIfAborted()
    const node = await tree.stat(path)
    if (node === undefined)
      throw new BuildError(
        'context-invalid',
        `Cannot read ${JSON.stringify(displayText(path))}: it vanished while the build was reading it`,
      )
    yield { path, node }
    if (node.type === 'directory' && enters(path)) await push(path)
  }
}

/** Parts joined and cleaned by their text alone: relative to the root, out of which `..` does not lead. */
export function pathBelowRoot(...parts: readonly string[]): string {
  return posix
    .join('/', ...parts)
    .slice(1)
    .replace(/\/$/, '')
}
