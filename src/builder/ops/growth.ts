import { lstatSync } from 'node:fs'
import { opendir, statfs } from 'node:fs/promises'
import { isErrno } from '../../oci/errors.ts'

/** How often the disk is asked, which costs microseconds. */
const PERIOD_MS = 250

/**
 * Aborts the returned signal when `directory` has grown by more than `maxBytes`. As long as the disk has not lost as
 * much space, nothing in the directory is looked at: so what others free at the same time may hide it until the layer
 * is made. Files with holes count with all of their size.
 * @param reason of the abort
 */
export async function watchGrowth(
  directory: string,
  maxBytes: number,
  reason: () => Error,
): Promise<Disposable & { readonly signal: AbortSignal }> {
  const controller = new AbortController()
  const before = await sizeOf(directory)
  let freeBefore = await freeBytes(directory)
  let isLooking = false

  async function look(): Promise<void> {
    const free = await freeBytes(directory)
    if (freeBefore - free <= maxBytes) return
    const grown = (await sizeOf(directory)) - before
    if (grown > maxBytes) controller.abort(reason())
    // It was somebody else: wait for as much again as would be missing.
    freeBefore = free + grown
  }
  const timer = setInterval(() => {
    if (isLooking || controller.signal.aborted) return
    isLooking = true
    look().then(
      () => {
        isLooking = false
      },
      error => controller.abort(error),
    )
  }, PERIOD_MS)
  return { signal: controller.signal, [Symbol.dispose]: () => clearInterval(timer) }
}

async function freeBytes(directory: string): Promise<number> {
  const { bfree, bsize } = await statfs(directory)
  return bfree * bsize
}

/** Bytes of the files in a directory that changes meanwhile; what has several names counts once. */
async function sizeOf(directory: string): Promise<number> {
  let total = 0
  const seen = new Set<number>()
  const waiting = [directory]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for await (const entry of entriesOf(next)) {
      const path = `${next}/${entry.name}`
      if (entry.isDirectory()) waiting.push(path)
      if (!entry.isFile()) continue
      const stat = lstatSync(path, { throwIfNoEntry: false })
      if (stat === undefined || (stat.nlink > 1 && seen.has(stat.ino))) continue
      seen.add(stat.ino)
      total += stat.size
    }
  }
  return total
}

async function* entriesOf(directory: string) {
  try {
    yield* await opendir(directory, { bufferSize: 256 })
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error
  }
}
