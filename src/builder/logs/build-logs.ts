/**
 * What the steps of builds print, whole and as it came:
 *
 * ```
 * logs/<time>-<id>/<n>-<command>.log       of the n-th RUN that a build executed
 * ```
 *
 * Written call by call, so that a process that is killed loses nothing. Readable by the owner alone: a step may print
 * what is secret. A build holds a lock on its directory, as long as its process lives.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { loadLinux } from '../../linux/linux.ts'
import { isErrno } from '../../oci/errors.ts'
import { createSnapshotsInUse } from '../snapshot/snapshots-in-use.ts'
import { removeOldLogs } from './prune-logs.ts'

/** The log of one step. Closed by whoever opened it. */
export interface StepLog extends Disposable {
  /** Undefined when the disk did not take all of it. */
  readonly path: string | undefined
  write(chunk: Uint8Array): void
}

export interface BuildLogs extends Disposable {
  /** Absolute; undefined as long as no step has a log. */
  readonly directory: string | undefined
  /** @param title of the command, for the name of the file */
  open(title: string): Promise<StepLog>
}

/** Ends a log that an endless loop fills, before it fills the disk. In bytes. */
const MAX_STEP_BYTES = 1024 ** 3

/**
 * Nothing is made before a step has a log to open; then logs of old builds go.
 * @param now milliseconds since the epoch
 */
export function createBuildLogs(
  storeRoot: string,
  now: () => number,
  maxStepBytes = MAX_STEP_BYTES,
): BuildLogs {
  const root = logRoot(storeRoot)
  const undo = new DisposableStack()
  let directory: string | undefined
  let opened: Promise<void> | undefined
  let count = 0

  async function openDirectory(): Promise<void> {
    const time = new Date(now()).toISOString().replaceAll(/[-:]/g, '')
    const path = join(root, `${time}-${randomBytes(3).toString('hex')}`)
    if (!mayFail(() => mkdirSync(path, { recursive: true, mode: 0o700 }))) return
    const linux = await loadLinux()
    await undo.use(createSnapshotsInUse(linux)).hold(path)
    directory = path
    await removeOldLogs(linux, root)
  }

  return {
    get directory() {
      return directory
    },
    async open(title) {
      opened ??= openDirectory()
      await opened
      return openStepLog(directory && join(directory, `${++count}${nameOf(title)}.log`), maxStepBytes)
    },
    [Symbol.dispose]: () => undo.dispose(),
  }
}

export function logRoot(storeRoot: string): string {
  return join(storeRoot, 'logs')
}

function openStepLog(path: string | undefined, maxBytes: number): StepLog {
  let fd: number | undefined
  let bytes = 0
  let isWhole =
    path !== undefined &&
    mayFail(() => {
      fd = openSync(path, 'wx', 0o600)
    })
  return {
    get path() {
      return isWhole ? path : undefined
    },
    write(chunk) {
      const file = fd
      if (!isWhole || file === undefined || bytes > maxBytes) return
      bytes += chunk.length
      const text = bytes > maxBytes ? Buffer.from(`\n[more than ${maxBytes} bytes are not kept]\n`) : chunk
      isWhole = mayFail(() => writeAll(file, text))
    },
    [Symbol.dispose]() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
}

/** What the disk refuses is no reason to fail a build that goes on without. */
function mayFail(write: () => void): boolean {
  try {
    write()
    return true
  } catch (error) {
    if (isErrno(error, 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO')) return false
    throw error
  }
}

/** `-make-install` */
function nameOf(title: string): string {
  const words = title.toLowerCase().match(/[a-z0-9]+/g) ?? []
  return words
    .map(word => `-${word}`)
    .join('')
    .slice(0, 40)
}
