/**
 * Changed files as the items of a layer. Files that were touched and then left as they were are dropped, and deletions
 * are whiteouts, also for what a directory made anew lacks: markers for opaque directories are read differently by
 * different tools.
 */
import { type BigIntStats, lstatSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import type { Linux } from '../../linux/linux.ts'
import { type ByteString, bytesOf, displayText } from '../../oci/byte-string.ts'
import { isErrno } from '../../oci/errors.ts'
import { isReservedName, whiteoutEntry } from '../../oci/layer/whiteout.ts'
import { baseName } from '../../oci/path.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import { BuildError } from '../errors.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { HardLinks, itemOf } from './hard-links.ts'
import { isUnchanged, upperFile, withOwnerBelow } from './upper-file.ts'

/** A path at which something may have changed. */
export interface Candidate {
  readonly path: ByteString
  /** Undefined where there is nothing any more, or nothing that a layer can hold. */
  readonly stats: BigIntStats | undefined
  /** When the file below was last changed, in nanoseconds since the epoch, where that is known. */
  timeBelow(): bigint | undefined
  /** It is still the file that was below, which has other names there: written to or not, its names stay apart. */
  readonly isApart?: boolean
}

export interface LayerItemsDeps {
  readonly linux: Linux
  /** Absolute path of the directory that the paths of candidates are in. */
  readonly directory: string
  /** What was there before, as its layers say it. */
  readonly lower: FileTree
  readonly signal: AbortSignal
}

const ENTRIES_PER_TURN = 200

/**
 * In the order of the candidates, which have a directory before its content, names by bytes. Times are whole seconds.
 * Sockets are left out; so is the root directory, as in BuildKit's layers. The directories on the way to a change come
 * along as they are: Docker unpacks a layer on its own, and gives those that the layer does not name mode 0755.
 * @throws BuildError `run-failed` for a file named like a whiteout (`.wh.*`): a layer cannot hold it, and silence
 *   would turn it into a deletion
 */
export async function* layerItems(
  candidates: AsyncIterable<Candidate> | Iterable<Candidate>,
  deps: LayerItemsDeps,
): AsyncGenerator<TarItem, void, undefined> {
  const { linux, directory } = deps
  const written = new Set<ByteString>(['' as ByteString])
  for await (const item of changedFiles(candidates, deps)) {
    for (const path of directoriesTo(item.entry.path)) {
      if (written.has(path)) continue
      written.add(path)
      const host = hostPath(directory, path)
      yield itemOf(upperFile(linux, host, path, lstatSync(host, { bigint: true })))
    }
    if (item.entry.type === 'directory') written.add(item.entry.path)
    yield item
  }
}

/** Absolute path of a file in a directory. */
export function hostPath(directory: string, path: ByteString): Buffer {
  return path === '' ? Buffer.from(directory) : Buffer.concat([Buffer.from(`${directory}/`), bytesOf(path)])
}

/**
 * What is there; undefined for nothing.
 * @throws BuildError `run-failed` for a path that is too long for the kernel
 */
export function statChanged(directory: string, path: ByteString): BigIntStats | undefined {
  try {
    return lstatSync(hostPath(directory, path), { bigint: true, throwIfNoEntry: false })
  } catch (error) {
    if (!isErrno(error, 'ENAMETOOLONG')) throw error
    const message = `Cannot commit layer: "${displayText(path).slice(0, 80)}..." is nested too deep`
    throw new BuildError('run-failed', message, { cause: error })
  }
}

async function* changedFiles(
  candidates: AsyncIterable<Candidate> | Iterable<Candidate>,
  { linux, directory, lower, signal }: LayerItemsDeps,
): AsyncGenerator<TarItem, void, undefined> {
  const hardLinks = new HardLinks()
  let visited = 0
  for await (const { path, stats, timeBelow, isApart = false } of candidates) {
    if (++visited % ENTRIES_PER_TURN === 0) await setImmediate()
    signal.throwIfAborted()
    if (stats === undefined) {
      if ((await lower.stat(path)) !== undefined) yield { entry: whiteoutEntry(path) }
      continue
    }
    refuseReserved(path)
    const found = upperFile(linux, hostPath(directory, path), path, stats)
    const file = await withOwnerBelow(linux, found, lower)
    if (await isUnchanged(file, lower, timeBelow)) continue
    yield hasOtherNames(stats) ? hardLinks.itemOf(file, isApart) : itemOf(file)
  }
}

/** Outermost first, without the root. */
function directoriesTo(path: ByteString): readonly ByteString[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/') as ByteString)
}

function hasOtherNames(stats: BigIntStats): boolean {
  return !stats.isDirectory() && stats.nlink > 1n
}

function refuseReserved(path: ByteString): void {
  if (!isReservedName(baseName(path))) return
  throw new BuildError(
    'run-failed',
    `Cannot commit layer: the name of "${displayText(path)}" means a deletion in a layer, so no layer can hold it`,
  )
}
