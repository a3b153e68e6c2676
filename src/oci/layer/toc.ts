/**
 * A layer's table of contents: what the layer does to a path, for every path it names. It is recorded when the
 * layer is ingested, so that COPY, WORKDIR or a user look-up resolve paths without unpacking anything.
 */
import type { ByteString } from '../byte-string.ts'
import type { Digest } from '../digest.ts'
import type { TarEntry } from '../tar/entry.ts'

/** An entry with a clean path: relative, without `.` or `..`, without a trailing `/`; the root is ''. */
export interface TocEntry extends Omit<TarEntry, 'path' | 'linkPath'> {
  readonly path: ByteString
  /** A symlink's raw target, or a hard link's clean path. */
  readonly linkPath?: ByteString
  /** Of a file's content; absent for an empty file and for all but files. */
  readonly digest?: Digest
  /** Where a file's body starts in the uncompressed layer, in bytes. */
  readonly offset?: number
}

export interface LayerToc {
  /** In the order of the archive; of a path named twice, the last counts. */
  readonly entries: readonly TocEntry[]
  /** Paths that this layer removes from those below. */
  readonly whiteouts: readonly ByteString[]
  /** Directories whose content in the layers below is hidden. */
  readonly opaque: readonly ByteString[]
}
