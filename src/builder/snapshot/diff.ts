/**
 * What a step wrote, as a layer. The upper directory of an overlay holds more than the change: files copied up and
 * then left as they were (dropped here), and deletions in overlayfs' form (whiteouts here, also for what an opaque
 * directory hides: markers for opaque directories are read differently by different tools).
 */
import { type BigIntStats, lstatSync, readdirSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { type Linux, loadLinux } from '../../linux/linux.ts'
import {
  type ByteString,
  byteStringFrom,
  bytesOf,
  compareByteStrings,
  displayText,
} from '../../oci/byte-string.ts'
import { isErrno } from '../../oci/errors.ts'
import { isReservedName, whiteoutEntry } from '../../oci/layer/whiteout.ts'
import { joinPath } from '../../oci/path.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import { BuildError } from '../errors.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { HardLinks, itemOf } from './hard-links.ts'
import { isOpaque, isWhiteout } from './lower-layers.ts'
import { isUnchanged, upperFile } from './upper-file.ts'

interface Directory {
  readonly path: ByteString
  /** Not yet visited, sorted backwards. */
  readonly names: ByteString[]
  /** Nothing of the layers below shows in it. */
  readonly hidden: boolean
}

const ENTRIES_PER_TURN = 200

/**
 * The changes as tar items, in an order that depends on names alone: a directory before its content, names by
 * bytes. Times are whole seconds.
 * Sockets are left out; so is the root directory, as in BuildKit's layers. The directories on the way to a change come
 * along as they are: Docker unpacks a layer on its own, and gives those that the layer does not name mode 0755.
 * @param upperDirectory not mounted any more
 * @param lowerDirectories of the layers below, topmost first
 * @throws BuildError `run-failed` for a file named like a whiteout (`.wh.*`): a layer cannot hold it, and silence
 *   would turn it into a deletion
 */
export async function* readChanges(
  upperDirectory: string,
  lower: FileTree,
  signal: AbortSignal,
  lowerDirectories: readonly string[] = [],
): AsyncGenerator<TarItem, void, undefined> {
  const linux = await loadLinux()
  const written = new Set<ByteString>(['' as ByteString])
  for await (const item of changedFiles(linux, upperDirectory, lower, signal, lowerDirectories)) {
    for (const path of directoriesTo(item.entry.path)) {
      if (written.has(path)) continue
      written.add(path)
      const host = hostPath(upperDirectory, path)
      yield itemOf(upperFile(linux, host, path, lstatSync(host, { bigint: true })))
    }
    if (item.entry.type === 'directory') written.add(item.entry.path)
    yield item
  }
}

async function* changedFiles(
  linux: Linux,
  upperDirectory: string,
  lower: FileTree,
  signal: AbortSignal,
  lowerDirectories: readonly string[],
): AsyncGenerator<TarItem, void, undefined> {
  const hardLinks = new HardLinks()
  const stack = [await openDirectory('' as ByteString, isOpaque(linux, Buffer.from(upperDirectory)))]
  let visited = 0

  for (let directory = stack.at(-1); directory !== undefined; directory = stack.at(-1)) {
    const name = directory.names.pop()
    if (name === undefined) {
      stack.pop()
      continue
    }
    if (++visited % ENTRIES_PER_TURN === 0) await setImmediate()
    signal.throwIfAborted()
    const path = joinPath(directory.path, name)
    const stats = statUpper(path)
    if (stats === undefined || isWhiteout(stats) || stats.isSocket()) {
      if ((await lower.stat(path)) !== undefined) yield { entry: whiteoutEntry(path) }
      continue
    }
    refuseReserved(path, name)
    const file = upperFile(linux, hostPath(upperDirectory, path), path, stats)
    if (!(await isUnchanged(file, lower, lowerDirectories)))
      yield hasOtherNames(stats) ? hardLinks.itemOf(file) : itemOf(file)
    if (stats.isDirectory())
      stack.push(await openDirectory(path, directory.hidden || isOpaque(linux, file.hostPath)))
  }

  async function openDirectory(path: ByteString, hidden: boolean): Promise<Directory> {
    const upper = readdirSync(hostPath(upperDirectory, path), 'buffer').map(byteStringFrom)
    const names = hidden ? [...new Set([...upper, ...(await lower.list(path))])] : upper
    return { path, names: names.sort(compareByteStrings).reverse(), hidden }
  }

  function statUpper(path: ByteString): BigIntStats | undefined {
    try {
      return lstatSync(hostPath(upperDirectory, path), { bigint: true, throwIfNoEntry: false })
    } catch (error) {
      if (!isErrno(error, 'ENAMETOOLONG')) throw error
      const message = `Cannot commit layer: "${displayText(path).slice(0, 80)}..." is nested too deep`
      throw new BuildError('run-failed', message, { cause: error })
    }
  }
}

function hostPath(upperDirectory: string, path: ByteString): Buffer {
  return path === ''
    ? Buffer.from(upperDirectory)
    : Buffer.concat([Buffer.from(`${upperDirectory}/`), bytesOf(path)])
}

/** Outermost first, without the root. */
function directoriesTo(path: ByteString): readonly ByteString[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/') as ByteString)
}

function hasOtherNames(stats: BigIntStats): boolean {
  return !stats.isDirectory() && stats.nlink > 1n
}

function refuseReserved(path: ByteString, name: ByteString): void {
  if (!isReservedName(name)) return
  throw new BuildError(
    'run-failed',
    `Cannot commit layer: the name of "${displayText(path)}" means a deletion in a layer, so no layer can hold it`,
  )
}
