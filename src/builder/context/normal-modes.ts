import type { ByteString } from '../../oci/byte-string.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'

type ContextTree = FileTree & { isIgnored?(path: ByteString): boolean }

/**
 * The same files with the modes that any checkout of them might have had (`--normalize-modes`): whatever the umask was,
 * directories are 0755 and files 0644, or 0755 where the owner may execute them. Setuid, setgid and sticky bits go, and
 * so do access lists, which are modes by another name. A symlink has no mode of its own.
 */
export function withNormalModes(tree: ContextTree): ContextTree {
  return {
    async stat(path) {
      const node = await tree.stat(path)
      return node && normal(node)
    },
    list: path => tree.list(path),
    digest: path => tree.digest(path),
    prepare: (paths, signal) => tree.prepare(paths, signal),
    open: path => tree.open(path),
    isIgnored: path => tree.isIgnored?.(path) ?? false,
  }
}

function normal({ xattrs, ...node }: TreeNode): TreeNode {
  const kept = new Map([...(xattrs ?? [])].filter(([name]) => !name.startsWith('system.posix_acl_')))
  return { ...node, mode: modeOf(node), ...(kept.size > 0 && { xattrs: kept }) }
}

function modeOf({ type, mode }: Pick<TreeNode, 'type' | 'mode'>): number {
  if (type === 'symlink') return 0o777
  if (type === 'directory') return 0o755
  return type === 'file' && (mode & 0o100) !== 0 ? 0o755 : 0o644
}
