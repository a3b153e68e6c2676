import type { ByteString } from '../../oci/byte-string.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { type WalkedNode, walkInBatches } from '../tree/walk.ts'
import type { Selected } from './sources.ts'

export interface SelectedNode extends WalkedNode {
  /** To the directory that was selected. */
  readonly relative: ByteString
}

/**
 * What a selected directory gives, parents before children. A directory that the filter does not take is given
 * only as the way to something that it takes. In batches, as `walkInBatches` has them.
 */
export async function* walkSelected(
  tree: FileTree,
  { path: top, filter }: Selected,
  signal: AbortSignal,
): AsyncGenerator<readonly SelectedNode[], void, undefined> {
  const relativeTo = (path: ByteString) => (top === '' ? path : path.slice(top.length + 1)) as ByteString
  const enters = (path: ByteString): boolean => {
    const relative = relativeTo(path)
    return filter === undefined || filter.takes(relative) || filter.mayTakeBelow(relative)
  }
  const onTheWay: SelectedNode[] = []
  const taken = ({ path, node }: WalkedNode): readonly SelectedNode[] => {
    const found = { relative: relativeTo(path), path, node }
    if (filter === undefined) return [found]
    if (filter.takes(found.relative))
      return [...onTheWay.splice(0).filter(directory => path.startsWith(`${directory.path}/`)), found]
    if (node.type === 'directory') {
      const isLeft = (directory: SelectedNode) => !path.startsWith(`${directory.path}/`)
      while (onTheWay.some(isLeft)) onTheWay.pop()
      onTheWay.push(found)
    }
    return []
  }
  for await (const batch of walkInBatches(tree, top, signal, enters)) yield batch.flatMap(taken)
}
