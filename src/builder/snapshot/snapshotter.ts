import type { ByteString } from '../../oci/byte-string.ts'
import type { Digest } from '../../oci/digest.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import type { FileTree } from '../tree/file-tree.ts'

/**
 * One mount, as mount(2) takes it; but each lower directory of an overlay is an option of its own, `lowerdir+=PATH`,
 * topmost first, and no path is escaped.
 */
export interface Mount {
  readonly type: 'overlay' | 'bind'
  readonly source: string
  readonly options: readonly string[]
}

/**
 * Root filesystems on disk, built up layer by layer. A committed snapshot is named by the chainID of its layers and
 * never changes; an active one is where a step writes, and is known by a key until it is committed or removed.
 * All of it is a cache: what is lost is unpacked again.
 */
export interface Snapshotter {
  /** True when the layers up to this chainID are unpacked. */
  has(name: Digest): Promise<boolean>
  /**
   * Unpacks one layer on top of `parent` and commits it as `name`. Already there is success; two processes may
   * do it at once.
   * @param tar the uncompressed layer, verified by the caller when it ends: a failing source leaves nothing behind
   */
  apply(
    name: Digest,
    parent: Digest | undefined,
    tar: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<void>
  /** A new writable root filesystem over `parent` (none: an empty one). */
  prepare(parent: Digest | undefined, signal?: AbortSignal): Promise<ActiveSnapshot>
  /**
   * Part of a root filesystem, to be mounted into another; what is written to it is lost with it.
   * @param path of a file or directory of the parent, symlinks followed inside it. It is there under this very path,
   *   cleaned; the rest of the parent need not be
   * @throws BuildError `source-missing`
   */
  view(parent: Digest | undefined, path: ByteString, signal?: AbortSignal): Promise<ActiveSnapshot>
}

export interface ActiveSnapshot extends AsyncDisposable {
  /** What to mount to see and change the whole. */
  readonly mounts: readonly Mount[]
  /** Absolute path of a directory of ours on the disk that takes what is written. */
  readonly directory: string
  /**
   * What was written, as the items of a layer, in an order that depends on names alone. Nothing of it is mounted, and
   * nobody writes, while it is read.
   * @param lower what the parent holds, as its layers say it
   * @throws BuildError `run-failed` for what no layer can hold; the signal's reason
   */
  changes(lower: FileTree, signal: AbortSignal): AsyncIterable<TarItem>
  /** Unpacks a layer (see `Snapshotter.apply`) into a snapshot without a parent, to which nothing was written yet. */
  apply(tar: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void>
  /** Turns what was written into the committed snapshot `name`. Afterwards disposing does nothing. */
  commit(name: Digest): Promise<void>
}
