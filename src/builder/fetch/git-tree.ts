import type { ByteString } from '../../oci/byte-string.ts'
import { baseName } from '../../oci/path.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'

export interface GitTreeOptions {
  /** Of the commit, in seconds since the epoch. */
  readonly mtime: number
  /** Whether `.git` shows. */
  readonly keepsGitDir: boolean
}

/**
 * A work tree as every checkout of its commit would be: modes by what git knows of them, whatever the umask is
 * (semantics 52), and the time of the commit, where BuildKit has the time of the checkout. `.git` of submodules goes
 * with that of the whole: it says where things lie on this machine.
 */
export function gitTree(disk: FileTree, { mtime, keepsGitDir }: GitTreeOptions): FileTree {
  const isHidden = (path: ByteString): boolean => !keepsGitDir && baseName(path) === '.git'
  return {
    async stat(path) {
      if (isHidden(path)) return undefined
      const node = await disk.stat(path)
      if (node === undefined) return undefined
      const { type, uid, gid, size, linkPath } = node
      return { type, uid, gid, size, mtime, mode: modeOf(node), ...(linkPath !== undefined && { linkPath }) }
    },
    list: async path => (await disk.list(path)).filter(name => !isHidden(name)),
    digest: path => disk.digest(path),
    prepare: (paths, signal) => disk.prepare(paths, signal),
    open: path => disk.open(path),
  }
}

function modeOf({ type, mode }: TreeNode): number {
  if (type === 'symlink') return 0o777
  if (type !== 'file') return 0o755
  // Only objects in `.git` are read-only.
  return (mode & 0o200) === 0 ? 0o444 : (mode & 0o100) === 0 ? 0o644 : 0o755
}
