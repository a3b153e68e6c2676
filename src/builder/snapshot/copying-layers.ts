/**
 * Unpacked layers that any file system can hold, and any user who may set owners: what a layer hides of those below is
 * in a list beside its files, where overlayfs wants devices and attributes that an unprivileged root cannot make.
 */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { byteStringFrom, compareByteStrings } from '../../oci/byte-string.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { nodeType } from '../tree/node-type.ts'
import { type LowerLayers, type LowerNode, type Merged, openMergedLayers } from './lower-layers.ts'
import { statLayerFile } from './stat-layer-file.ts'
import type { Hiding } from './unpack-target.ts'

/** One layer, or a whole root filesystem, on disk. */
export interface StoredLayer {
  /** Absolute path of its files. */
  readonly directory: string
  /** Paths at and below which nothing of the layers below shows, one character per byte. */
  readonly hidden: ReadonlySet<string>
  /** Directories in which nothing of the layers below shows. */
  readonly hiddenContents: ReadonlySet<string>
}

export interface CopiedLayers extends LowerLayers {
  /** Names in a directory, sorted by bytes, one character per byte. */
  list(path: string): readonly string[]
}

/** What layers, topmost first, make up. */
export function openCopiedLayers(layers: readonly StoredLayer[]): CopiedLayers {
  const directories = layers.map(({ directory }) => directory)
  const byDirectory = new Map(
    layers.map(layer => [Buffer.from(layer.directory).toString('latin1'), layer] as const),
  )
  const merged = openMergedLayers(directories, (candidates, path) => merge(byDirectory, candidates, path))
  return {
    ...merged,
    list(path) {
      const names = new Set<string>()
      for (const part of merged.partsOf(path))
        for (const name of readdirSync(Buffer.from(part, 'latin1'), 'buffer'))
          names.add(name.toString('latin1'))
      const there = [...names].filter(name => merged.find(path === '' ? name : `${path}/${name}`))
      return there.map(name => byteStringFrom(Buffer.from(name, 'latin1'))).sort(compareByteStrings)
    },
  }
}

/** For paths that are resolved among them. */
export function treeOfLayers(layers: CopiedLayers): Pick<FileTree, 'stat'> {
  return {
    async stat(path) {
      const node = layers.find(path)
      if (node === undefined) return undefined
      const { stats } = node
      const type = nodeType(stats)
      const linkPath = type === 'symlink' ? byteStringFrom(readlinkSync(node.path, 'buffer')) : undefined
      const { mode, uid, gid, size, mtimeMs } = stats
      return {
        type,
        mode: Number(mode) & 0o7777,
        uid: Number(uid),
        gid: Number(gid),
        size: Number(size),
        mtime: Number(mtimeMs / 1000n),
        ...(linkPath !== undefined && { linkPath }),
      }
    },
  }
}

/** Collects what a layer hides while it is unpacked. */
export interface HiddenPaths extends Hiding {
  /** @param file absolute path of the list to write */
  save(file: string): void
}

export function createHiddenPaths(): HiddenPaths {
  const hidden = new Set<string>()
  const hiddenContents = new Set<string>()
  return {
    hide: path => void hidden.add(path),
    hideContent: path => void hiddenContents.add(path),
    save: file => writeFileSync(file, JSON.stringify([[...hidden], [...hiddenContents]])),
  }
}

/** @param file a list that was saved */
export function readStoredLayer(directory: string, file: string): StoredLayer {
  const [hidden, contents]: [string[], string[]] = JSON.parse(readFileSync(file, 'utf8'))
  return { directory, hidden: new Set(hidden), hiddenContents: new Set(contents) }
}

/** A layer's file ends what shows at a path, as does what it hides there. */
function merge(
  layers: ReadonlyMap<string, StoredLayer>,
  candidates: readonly string[],
  path: string,
): Merged | undefined {
  let node: LowerNode | undefined
  const parts: string[] = []
  for (const candidate of candidates) {
    const layer = layers.get(path === '' ? candidate : candidate.slice(0, -path.length - 1))
    const host = Buffer.from(candidate, 'latin1')
    const stats = statLayerFile(host)
    if (stats?.isDirectory() === false) {
      node ??= { path: host, stats }
      break
    }
    if (stats !== undefined) {
      node ??= { path: host, stats }
      parts.push(candidate)
    }
    if (layer?.hidden.has(path) || (stats !== undefined && layer?.hiddenContents.has(path))) break
  }
  return node && { node, parts }
}
