import type { ByteString } from '../../oci/byte-string.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { type WalkedNode, walkBelow } from '../tree/walk.ts'
import type { Selected } from './sources.ts'

export interface SelectedNode extends WalkedNode {
  /** To the directory that was selected. */
  readonly relative: ByteString
}

/**
 * What a selected directory gives, parents before children. A directory that the filter does not take is given
 * only as the way to something that it takes.
 */
export async function* walkSelected(
  tree: FileTree,
  { path: top, filter }: Selected,
  signal: AbortSignal,
): AsyncGenerator<SelectedNode, void, undefined> {
  const relativeTo = (path: ByteString) => (top === '' ? path : path.slice(top.length + 1)) as ByteString
  const enters = (path: ByteString): boolean => {
    const relative = relativeTo(path)
    return filter === undefined || filter.takes(relative) || filter.mayTakeBelow(relative)
  }
  const onTheWay: SelectedNode[] = []
  for await (const { path, node } of walkBelow(tree, top, signal, enters)) {
    const found = { relative: relativeTo(path), path, node }
    if (filter === undefined || filter.takes(found.relative)) {
      yield* onTheWay.splice(0).filter(directory => path.startsWith(`${directory.path}/`))
      yield found
    } else if (node.type === 'directory') {
      const isLeft = (directory: SelectedNode) => !path.startsWith(`${directory.path}/`)
      while (onTheWay.some(isLeft)) onTheWay.pop()
      onTheWay.push(found)
    }
  }
}
