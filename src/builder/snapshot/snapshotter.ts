import type { Digest } from '../../oci/digest.ts'

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
  prepare(parent: Digest | undefined): Promise<ActiveSnapshot>
}

export interface ActiveSnapshot extends AsyncDisposable {
  /** What to mount to see and change the whole. */
  readonly mounts: readonly Mount[]
  /** The directory that holds only what was written: files, overlay whiteouts (0:0 devices), opaque directories. */
  readonly upperDirectory: string
  /** The directories of the layers below, topmost first, where a file has its time to the nanosecond. */
  readonly lowerDirectories: readonly string[]
  /** Turns what was written into the committed snapshot `name`. Afterwards disposing does nothing. */
  commit(name: Digest): Promise<void>
}
