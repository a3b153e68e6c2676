import type { ByteString } from '../../oci/byte-string.ts'
import { joinPath, parentPath } from '../../oci/path.ts'
import type { FileTree } from './file-tree.ts'

/** As many as containerd's resolver follows. */
const MAX_LINKS = 255
const MAX_PENDING = 64 * 1024
/** Parts of names walked for one path. */
const MAX_STEPS = 100_000

/**
 * Where a path leads inside the tree: symlinks followed, absolute ones from the root, `..` never above it. What does
 * not exist is taken as it stands, so that it can be created there. The path may be absolute or relative to the root.
 * Undefined for a loop of links, and for a path that is as good as one.
 * @param root a directory of the tree (itself resolved) that stands for `/`: nothing leads out of it
 */
export async function resolvePath(
  tree: Pick<FileTree, 'stat'>,
  path: ByteString,
  root = '' as ByteString,
): Promise<ByteString | undefined> {
  const pending = (path.split('/') as ByteString[]).reverse()
  let resolved = '' as ByteString
  let links = 0
  let steps = 0
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (++steps > MAX_STEPS) return undefined
    if (name === '' || name === '.') continue
    if (name === '..') {
      resolved = parentPath(resolved)
      continue
    }
    const next = joinPath(resolved, name)
    const node = await tree.stat(joinPath(root, next))
    if (node?.type !== 'symlink') {
      resolved = next
      continue
    }
    const target = node.linkPath ?? ''
    if (++links > MAX_LINKS || pending.length + target.length > MAX_PENDING) return undefined
    if (target.startsWith('/')) resolved = '' as ByteString
    pending.push(...(target.split('/') as ByteString[]).reverse())
  }
  return joinPath(root, resolved)
}
