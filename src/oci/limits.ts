/**
 * What content of unknown origin may cost at most. The names are those of the keys under `[limits]` in the
 * configuration, in camel case. Every default is far beyond any honest content: a layer of 20 GB with a million
 * files passes.
 */
import { OciError } from './errors.ts'

export interface Limits {
  /** Files, directories, links and so on in one archive: a layer, one that ADD unpacks, a context. */
  readonly archiveEntries: number
  /** Of one archive, uncompressed. */
  readonly archiveBytes: number
  /** Uncompressed bytes for each compressed one, beyond the first `RATIO_FREE_BYTES`. */
  readonly archiveRatio: number
  /** Of a path or link target. */
  readonly pathBytes: number
  /** Names in a path. */
  readonly pathDepth: number
  /** Of one extended header (PAX or GNU long name). */
  readonly paxBytes: number
  /** Of all extended headers of an archive: what a reader that keeps names and attributes may have to hold. */
  readonly paxTotalBytes: number
  /** Of the extended attributes of one file, names and values. */
  readonly xattrBytes: number
  /** Of one image. */
  readonly imageLayers: number
  /** Of one image config. */
  readonly configBytes: number
  /** Files that one build context has, wherever it comes from; what an ignore file leaves out is not counted. */
  readonly contextEntries: number
  readonly dockerfileBytes: number
}

export type ArchiveLimits = Omit<Limits, 'imageLayers' | 'configBytes' | 'contextEntries' | 'dockerfileBytes'>

const KIB = 1024
const MIB = KIB ** 2

export const DEFAULT_LIMITS: Limits = {
  archiveEntries: 2_000_000,
  archiveBytes: 256 * KIB ** 3,
  archiveRatio: 1000,
  pathBytes: 32 * KIB,
  // As many as fit into the longest path that Linux opens.
  pathDepth: 2048,
  paxBytes: MIB,
  paxTotalBytes: 512 * MIB,
  xattrBytes: 256 * KIB,
  imageLayers: 1000,
  configBytes: 8 * MIB,
  contextEntries: 1_000_000,
  dockerfileBytes: 16 * MIB,
}

/** An image of a disk full of zeros is honest, and gzip makes a thousandth of it. */
export const RATIO_FREE_BYTES = 4 * KIB ** 3

/**
 * For content that is within other limits already: a layer of our own store, which may have been taken in when they
 * were wider. What one header makes a reader allocate stays bounded.
 */
export const CHECKED_BEFORE: ArchiveLimits = {
  archiveEntries: Number.POSITIVE_INFINITY,
  archiveBytes: Number.POSITIVE_INFINITY,
  archiveRatio: Number.POSITIVE_INFINITY,
  pathBytes: 64 * MIB,
  pathDepth: Number.POSITIVE_INFINITY,
  paxBytes: 64 * MIB,
  paxTotalBytes: Number.POSITIVE_INFINITY,
  xattrBytes: Number.POSITIVE_INFINITY,
}

/** The key in the configuration: `archive-entries`. */
export function limitKey(name: keyof Limits): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

/** @param problem `Cannot read tar: more than 5 entries` */
export function limitExceeded(name: keyof Limits, limit: number, problem: string): OciError {
  const key = limitKey(name)
  return new OciError('limit-exceeded', `${problem} (limit ${key} = ${limit})`, {
    detail: { limit: key, value: limit },
    hint: `if you trust where it comes from, raise ${key} under [limits] in the configuration`,
  })
}
