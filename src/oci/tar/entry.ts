import type { ByteString } from '../byte-string.ts'

export type TarEntryType = 'file' | 'directory' | 'symlink' | 'link' | 'character' | 'block' | 'fifo'

/** One entry of a tar archive, exact: everything that a layer can say about a file, and no more. */
export interface TarEntry {
  readonly type: TarEntryType
  /** As it stands in the archive, without a trailing `/`. Not cleaned: may be absolute or hold `..`. */
  readonly path: ByteString
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of body that follow; 0 for all but files. */
  readonly size: number
  /** Whole seconds since the epoch, possibly negative. */
  readonly mtime: number
  /** 0 to 999,999,999, added to `mtime`. Layers of ours have none. */
  readonly mtimeNanoseconds?: number
  /** Target of a symlink, or the path of the entry that a hard link points at. */
  readonly linkPath?: ByteString
  readonly deviceMajor?: number
  readonly deviceMinor?: number
  /** Extended attributes, by name (`SCHILY.xattr.*` without the prefix), values binary. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>
}
