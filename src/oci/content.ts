/**
 * Content-addressed storage as a set of small roles. Ask for the smallest one that does: a reader of layers takes
 * a `ContentProvider`, an upload takes a `ContentIngester`.
 *
 * Life of a blob: `begin` opens an ingest, `append` grows it, `commit` verifies the digest and makes the bytes
 * visible under it at once and whole. Before the commit nobody sees them; after it the ingest is gone.
 */
import type { Readable } from 'node:stream'
import type { PushedChunks } from './chunks.ts'
import type { Digest, DigestAlgorithm } from './digest.ts'

declare const ingestIDBrand: unique symbol

/** Names an ingest across processes and restarts: letters, digits and `-`, safe as a file name. */
export type IngestID = string & { readonly [ingestIDBrand]: true }

export interface BlobInfo {
  readonly digest: Digest
  /** In bytes. */
  readonly size: number
}

/** Both ends inclusive, in bytes from 0, as in HTTP. An absent end means up to the last byte. */
export interface ByteRange {
  readonly start: number
  readonly end?: number
}

export interface ContentProvider {
  /** Undefined when there is no such content. */
  stat(digest: Digest): Promise<BlobInfo | undefined>
  /** @throws an error with the code `content-missing` when there is no such content */
  open(digest: Digest, range?: ByteRange): Promise<Readable>
}

export interface ContentIngester {
  /** @param algorithm of the digest that is to be expected, where it is known: then the bytes are hashed as they come */
  begin(algorithm?: DigestAlgorithm): Promise<Ingest>
  /** Goes on with an ingest that was closed without commit, perhaps by another process. @throws code `ingest-unknown` */
  resume(id: IngestID): Promise<Ingest>
}

export interface ContentManager {
  list(): AsyncIterable<BlobInfo>
  /** Removes content; deleting what is not there is no error. */
  delete(digest: Digest): Promise<void>
}

export type ChunkSource = AsyncIterable<Uint8Array> | PushedChunks

/** One write. Invisible until `commit`. Disposing closes it but keeps the bytes for `resume`. */
export interface Ingest extends AsyncDisposable {
  readonly id: IngestID
  /** Bytes received so far. */
  readonly offset: number
  /**
   * Appends all of the source and tells the new offset. When the source fails, what came before stays. A chunk of it is
   * done with when the next one is asked for. @param algorithm as for `begin`; of use for the first bytes only
   */
  append(source: ChunkSource, signal: AbortSignal, algorithm?: DigestAlgorithm): Promise<number>
  /**
   * Makes the bytes durable and visible under the digest. Content that is already there is success.
   * @throws OciError `digest-mismatch` or `size-mismatch`; the ingest is then still there, to be aborted
   */
  commit(expected: { readonly digest: Digest; readonly size?: number }): Promise<BlobInfo>
  /** Drops the bytes. Safe to call twice, or after commit. */
  abort(): Promise<void>
}
