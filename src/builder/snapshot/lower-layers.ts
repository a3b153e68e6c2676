import type { BigIntStats } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import type { Linux } from '../../linux/linux.ts'
import { statLayerFile } from './stat-layer-file.ts'

/** A file in the layers below. */
export interface LowerNode {
  /** Where it lies on this machine. */
  readonly path: Buffer
  readonly stats: BigIntStats
}

/** The `fs` directories of committed snapshots, merged as overlayfs merges them. */
export interface LowerLayers {
  /** @param path clean, relative, one character per byte. Symlinks are not followed. Undefined for nothing there. */
  find(path: string): LowerNode | undefined
  /** Nothing is found at or below the path any more. */
  hide(path: string): void
  /** Nothing is found below the path any more. */
  hideContent(path: string): void
}

export interface MergedLayers extends LowerLayers {
  /** Directories of layers that together make up the one at the path, topmost first; empty for anything else. */
  partsOf(path: string): readonly string[]
}

export interface Merged {
  readonly node: LowerNode
  /** Directories that together make up this directory, topmost first; empty for all but directories. */
  readonly parts: readonly string[]
}

/** @param directories topmost first */
export function openLowerLayers(linux: Linux, directories: readonly string[]): LowerLayers {
  return openMergedLayers(directories, candidates => merge(linux, candidates))
}

/**
 * @param directories topmost first
 * @param merge what each layer holds at one path, topmost first, into what shows there
 */
export function openMergedLayers(
  directories: readonly string[],
  merge: (candidates: readonly string[], path: string) => Merged | undefined,
): MergedLayers {
  const known = new Map<string, Merged | undefined>()
  const hidden = new Set<string>()
  const hiddenContents = new Set<string>()

  function isHidden(path: string): boolean {
    if (hidden.size + hiddenContents.size === 0) return false
    if (hidden.has(path)) return true
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const above = path.slice(0, end)
      if (hidden.has(above) || hiddenContents.has(above)) return true
    }
    return path !== '' && hiddenContents.has('')
  }

  function findMerged(path: string): Merged | undefined {
    if (known.has(path)) return known.get(path)
    const slash = path.lastIndexOf('/')
    const parts =
      path === ''
        ? directories.map(directory => Buffer.from(directory).toString('latin1'))
        : (findMerged(path.slice(0, Math.max(0, slash)))?.parts ?? []).map(
            part => `${part}/${path.slice(slash + 1)}`,
          )
    const merged = merge(parts, path)
    if (merged === undefined || merged.parts.length > 0) known.set(path, merged)
    return merged
  }
  return {
    find: path => (isHidden(path) ? undefined : findMerged(path)?.node),
    partsOf: path => findMerged(path)?.parts ?? [],
    hide: path => hidden.add(path),
    hideContent: path => hiddenContents.add(path),
  }
}

/** A whiteout is how overlayfs stores a deletion: a character device 0:0. */
export function isWhiteout(stats: BigIntStats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0n
}

/** Overlayfs' own: in a user namespace (`userxattr`) the machine's attributes are out of reach. */
export function opaqueXattr({ idMaps }: Linux): string {
  return idMaps === undefined ? 'trusted.overlay.opaque' : 'user.overlay.opaque'
}

export function isOpaque(linux: Linux, directory: Buffer): boolean {
  try {
    return linux.lgetxattr(directory, opaqueXattr(linux)).toString('latin1') === 'y'
  } catch (error) {
    if (isLinuxError(error, 'ENODATA', 'ENOTSUP')) return false
    throw error
  }
}

/** Merges what each layer holds at one path; a layer's file or whiteout ends it, as does an opaque directory. */
function merge(linux: Linux, candidates: readonly string[]): Merged | undefined {
  let node: LowerNode | undefined
  const parts: string[] = []
  for (const candidate of candidates) {
    const path = Buffer.from(candidate, 'latin1')
    const stats = statLayerFile(path)
    if (stats === undefined) continue
    if (!stats.isDirectory()) {
      if (node === undefined && !isWhiteout(stats)) node = { path, stats }
      break
    }
    node ??= { path, stats }
    parts.push(candidate)
    if (isOpaque(linux, path)) break
  }
  return node && { node, parts }
}
