import type { BigIntStats } from 'node:fs'
import type { TreeNode } from './file-tree.ts'

/** What a file on disk is in a tree. Not for sockets, which no tree and no layer holds. */
export function nodeType(stats: BigIntStats): TreeNode['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isFIFO()) return 'fifo'
  return stats.isBlockDevice() ? 'block' : 'character'
}
