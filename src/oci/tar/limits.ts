/** What a hostile archive may cost at most. Each has a default that no honest layer reaches. */
export interface TarLimits {
  /** Files, directories, links and so on. */
  readonly entries?: number
  /** Of a path or link target, in bytes. */
  readonly pathBytes?: number
  /** Of one extended header (PAX or GNU long name), in bytes. */
  readonly extensionBytes?: number
  /** Of all extended headers together, in bytes: what a reader that keeps names and attributes may have to hold. */
  readonly allExtensionBytes?: number
  /** Of the whole archive, uncompressed, in bytes. */
  readonly totalBytes?: number
}

const MIB = 1024 ** 2

export const DEFAULT_TAR_LIMITS: Required<TarLimits> = {
  entries: 2_000_000,
  pathBytes: 32 * 1024,
  extensionBytes: MIB,
  allExtensionBytes: 512 * MIB,
  totalBytes: 1024 ** 2 * MIB,
}
