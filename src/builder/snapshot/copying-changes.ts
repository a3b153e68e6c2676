/**
 * What a step changed in a whole root filesystem. Before it, every file is noted with its inode and the time of its last
 * status change, which the kernel alone sets: where both are as they were, so is the file. Of the others, what the layers
 * say decides.
 */
import { type BigIntStats, lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { type Linux, loadLinux } from '../../linux/linux.ts'
import { type ByteString, byteStringFrom, compareByteStrings } from '../../oci/byte-string.ts'
import { joinPath } from '../../oci/path.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { type Candidate, hostPath, layerItems, statChanged } from './layer-items.ts'
import { isWhiteout } from './lower-layers.ts'

/** How the files of a root filesystem were before a step, by path. */
export type Stamps = ReadonlyMap<ByteString, Stamp>

interface Stamp {
  readonly inode: bigint
  readonly changed: bigint
  readonly modified: bigint
  readonly hasOtherNames: boolean
}

const ENTRIES_PER_TURN = 500

/**
 * Notes what is in a directory. When it returns, the clock of the file system has gone on: what changes from then on has
 * another time.
 * @param clock absolute path of a file that may be made beside it, and is gone afterwards
 */
export async function stampTree(directory: string, clock: string, signal?: AbortSignal): Promise<Stamps> {
  const stamps = new Map<ByteString, Stamp>()
  const pending: ByteString[] = ['' as ByteString]
  let last = 0n
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    for (const name of readdirSync(hostPath(directory, path), 'buffer').map(byteStringFrom)) {
      const child = joinPath(path, name)
      const stats = statChanged(directory, child)
      if (stats === undefined) continue
      if (stats.ctimeNs > last) last = stats.ctimeNs
      stamps.set(child, stampOf(stats))
      if (stats.isDirectory()) pending.push(child)
      if (stamps.size % ENTRIES_PER_TURN === 0) await setImmediate()
      signal?.throwIfAborted()
    }
  }
  await passed(last, clock)
  return stamps
}

/** @param directory the root filesystem, as the step left it */
export async function* readCopiedChanges(
  directory: string,
  before: Stamps,
  lower: FileTree,
  signal: AbortSignal,
): AsyncGenerator<TarItem, void, undefined> {
  const linux: Linux = await loadLinux()
  yield* layerItems(candidates(directory, before, lower, signal), { linux, directory, lower, signal })
}

interface Directory {
  readonly path: ByteString
  /** Not yet visited, sorted backwards. */
  readonly names: ByteString[]
}

async function* candidates(
  directory: string,
  before: Stamps,
  lower: FileTree,
  signal: AbortSignal,
): AsyncGenerator<Candidate, void, undefined> {
  const stack: Directory[] = [await openDirectory('' as ByteString, false)]
  let visited = 0
  for (let open = stack.at(-1); open !== undefined; open = stack.at(-1)) {
    const name = open.names.pop()
    if (name === undefined) {
      stack.pop()
      continue
    }
    if (++visited % ENTRIES_PER_TURN === 0) await setImmediate()
    signal.throwIfAborted()
    const path = joinPath(open.path, name)
    const there = statChanged(directory, path)
    const stats = there === undefined || isWhiteout(there) || there.isSocket() ? undefined : there
    const stamp = before.get(path)
    const isSame = stats !== undefined && stamp !== undefined && isSameStamp(stamp, stats)
    const isApart = stamp?.hasOtherNames === true && stamp.inode === stats?.ino
    if (!isSame) yield { path, stats, timeBelow: () => stamp?.modified, isApart }
    if (stats?.isDirectory()) stack.push(await openDirectory(path, isSame))
  }

  /** A directory that was not changed has the names that it had. */
  async function openDirectory(path: ByteString, isSame: boolean): Promise<Directory> {
    const there = readdirSync(hostPath(directory, path), 'buffer').map(byteStringFrom)
    const names = isSame ? there : [...new Set([...there, ...(await lower.list(path))])]
    return { path, names: names.sort(compareByteStrings).reverse() }
  }
}

function stampOf({ ino, ctimeNs, mtimeNs, nlink }: BigIntStats): Stamp {
  return { inode: ino, changed: ctimeNs, modified: mtimeNs, hasOtherNames: nlink > 1n }
}

function isSameStamp(stamp: Stamp, { ino, ctimeNs }: BigIntStats): boolean {
  return stamp.inode === ino && stamp.changed === ctimeNs
}

const MAX_TRIES = 2500

/** Waits for a tick of the file system's clock, some milliseconds in most. */
async function passed(time: bigint, clock: string): Promise<void> {
  try {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      writeFileSync(clock, '')
      rmSync(clock)
      writeFileSync(clock, '')
      if (lstatSync(clock, { bigint: true }).ctimeNs > time) return
      await setTimeout(1)
    }
  } finally {
    rmSync(clock, { force: true })
  }
}
