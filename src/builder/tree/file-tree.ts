import type { Readable } from 'node:stream'
import type { ByteString } from '../../oci/byte-string.ts'
import type { Digest } from '../../oci/digest.ts'
import type { TarEntry } from '../../oci/tar/entry.ts'

/** A file as COPY sees it: a tar entry without a place. Hard links are files that share `identity`. */
export interface TreeNode extends Omit<TarEntry, 'path' | 'type'> {
  readonly type: Exclude<TarEntry['type'], 'link'>
  /** Equal for names of one file with several links; absent for a file with one name. */
  readonly identity?: string
}

/** What is known at once need not be waited for, which for many thousand files takes longer than to look at them. */
export type Soon<T> = T | Promise<T>

/**
 * Files to read: a build context on disk, or the root filesystem of a stage over the tables of contents of its
 * layers. Paths are clean: relative, no `.` or `..`, the root is ''. Nothing here follows a symlink: `resolve.ts`
 * does, inside the tree.
 */
export interface FileTree {
  /** Undefined when there is nothing (or it is ignored). */
  stat(path: ByteString): Soon<TreeNode | undefined>
  /** Names in a directory, sorted by bytes. Empty for anything else. */
  list(path: ByteString): Soon<readonly ByteString[]>
  /** Of a file's content. */
  digest(path: ByteString): Soon<Digest>
  /** Tells that these files will be opened soon, so that compressed layers are read once. */
  prepare(paths: readonly ByteString[], signal: AbortSignal): Promise<void>
  /** A file's bytes: small ones at once, others as a stream. */
  open(path: ByteString): Promise<Buffer | Readable>
}
