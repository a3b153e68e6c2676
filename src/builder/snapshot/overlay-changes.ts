/**
 * What a step wrote through an overlay, as a layer. The upper directory holds more than the change: files copied up
 * and then left as they were, and deletions in overlayfs' form.
 */
import { readdirSync } from 'node:fs'
import { type Linux, loadLinux } from '../../linux/linux.ts'
import { type ByteString, byteStringFrom, bytesOf, compareByteStrings } from '../../oci/byte-string.ts'
import { joinPath } from '../../oci/path.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { type Candidate, hostPath, layerItems, statChanged } from './layer-items.ts'
import { isOpaque, isWhiteout } from './lower-layers.ts'
import { statLayerFile } from './stat-layer-file.ts'

interface Directory {
  readonly path: ByteString
  /** Not yet visited, sorted backwards. */
  readonly names: ByteString[]
  /** Nothing of the layers below shows in it. */
  readonly hidden: boolean
}

/**
 * The changes as tar items, as `layerItems` gives them.
 * @param upperDirectory not mounted any more
 * @param lowerDirectories of the layers below, topmost first
 */
export async function* readChanges(
  upperDirectory: string,
  lower: FileTree,
  signal: AbortSignal,
  lowerDirectories: readonly string[] = [],
): AsyncGenerator<TarItem, void, undefined> {
  const linux = await loadLinux()
  const candidates = upperFiles(linux, upperDirectory, lower, lowerDirectories)
  yield* layerItems(candidates, { linux, directory: upperDirectory, lower, signal })
}

async function* upperFiles(
  linux: Linux,
  upperDirectory: string,
  lower: FileTree,
  lowerDirectories: readonly string[],
): AsyncGenerator<Candidate, void, undefined> {
  const stack = [await openDirectory('' as ByteString, isOpaque(linux, Buffer.from(upperDirectory)))]
  for (let directory = stack.at(-1); directory !== undefined; directory = stack.at(-1)) {
    const name = directory.names.pop()
    if (name === undefined) {
      stack.pop()
      continue
    }
    const path = joinPath(directory.path, name)
    const there = statChanged(upperDirectory, path)
    const stats = there === undefined || isWhiteout(there) || there.isSocket() ? undefined : there
    yield { path, stats, timeBelow: () => timeOfLower(path, lowerDirectories) }
    if (stats?.isDirectory())
      stack.push(
        await openDirectory(path, directory.hidden || isOpaque(linux, hostPath(upperDirectory, path))),
      )
  }

  async function openDirectory(path: ByteString, hidden: boolean): Promise<Directory> {
    const upper = readdirSync(hostPath(upperDirectory, path), 'buffer').map(byteStringFrom)
    const names = hidden ? [...new Set([...upper, ...(await lower.list(path))])] : upper
    return { path, names: names.sort(compareByteStrings).reverse(), hidden }
  }
}

/**
 * When the file was last changed, in nanoseconds since the epoch; undefined where no layer has it.
 * @param lowerDirectories topmost first, as far as they are on disk
 */
export function timeOfLower(path: ByteString, lowerDirectories: readonly string[]): bigint | undefined {
  for (const directory of lowerDirectories) {
    const below = statLayerFile(Buffer.concat([Buffer.from(`${directory}/`), bytesOf(path)]))
    if (below !== undefined) return below.mtimeNs
  }
  return undefined
}
