import type { ByteString } from '../../oci/byte-string.ts'
import type { Digest } from '../../oci/digest.ts'

/** What of lstat(2) tells that a file is still the one that was read. */
export interface FileStamp {
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
  readonly dev: bigint
}

/** What reading a file gave. */
export interface FileFacts {
  /** Of a file's content. */
  readonly digest?: Digest
  readonly xattrs?: ReadonlyMap<string, Uint8Array>
}

export interface StatCache {
  /** Undefined unless the file with this stamp has been read. */
  get(path: ByteString, stamp: FileStamp): FileFacts | undefined
  /** Adds to what is known of the file. */
  put(path: ByteString, stamp: FileStamp, facts: FileFacts): void
  /** Writes what is new; writes nothing when nothing is. Failure costs the next build time only. */
  save(): Promise<void>
}

export interface StatCacheOptions {
  /** `<store root>/context-digests` */
  readonly directory: string
  /** The build context, absolute. */
  readonly context: string
  /** Milliseconds since the epoch. */
  now(): number
}

/** What earlier builds read of this context. A damaged or unreadable record is as good as none. */
export async function openStatCache(_options: StatCacheOptions): Promise<StatCache> {
  throw new Error('not yet')
}
