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

/** Of nodes that are given together: to hand over each of many thousand takes longer than to look at it. */
const BATCH_LENGTH = 500

/** As `walkInBatches`, one by one. */
export async function* walkBelow(
  ...args: Parameters<typeof walkInBatches>
): AsyncGenerator<WalkedNode, void, undefined> {
  for await (const batch of walkInBatches(...args)) yield* batch
}

/**
 * All that lies below a directory, parents before children, names in byte order. Follows nothing.
 * @param enters false for a directory below which nothing is wanted
 * @throws BuildError `context-invalid` when something vanishes meanwhile; the signal's reason
 */
export async function* walkInBatches(
  tree: FileTree,
  directory: ByteString,
  signal: AbortSignal,
  enters: (path: ByteString) => boolean = () => true,
): AsyncGenerator<readonly WalkedNode[], void, undefined> {
  const pending: ByteString[] = []
  const push = (parent: ByteString, names: readonly ByteString[]) => {
    for (let at = names.length - 1; at >= 0; at--) pending.push(joinPath(parent, names[at] as ByteString))
  }
  push(directory, await tree.list(directory))
  let batch: WalkedNode[] = []
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    signal.throwIfAborted()
    const found = tree.stat(path)
    const node = found instanceof Promise ? await found : found
    if (node === undefined)
      throw new BuildError(
        'context-invalid',
        `Cannot read ${JSON.stringify(displayText(path))}: it vanished while the build was reading it`,
      )
    batch.push({ path, node })
    if (node.type === 'directory' && enters(path)) push(path, await tree.list(path))
    if (batch.length < BATCH_LENGTH) continue
    yield batch
    batch = []
  }
  yield batch
}

/** Parts joined and cleaned by their text alone: relative to the root, out of which `..` does not lead. */
export function pathBelowRoot(...parts: readonly string[]): string {
  return posix
    .join('/', ...parts)
    .slice(1)
    .replace(/\/$/, '')
}
