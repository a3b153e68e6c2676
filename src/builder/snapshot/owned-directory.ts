/**
 * Directories of work under way, safe against `kill -9`: `tmp-<id>` belongs to the process that holds the lock on
 * `tmp-<id>.lock`. The kernel lets go of the lock when the process dies, however it dies and in whatever PID
 * namespace it lived, so whoever gets the lock may remove the rest.
 *
 * Order matters: the lock file is there before its directory and goes after it, so a directory without a lock file
 * does not happen.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  unlinkSync,
} from 'node:fs'
import type { Linux } from '../../linux/linux.ts'
import { isErrno } from '../../oci/errors.ts'
import { removeTree } from './remove-tree.ts'

type Locks = Pick<Linux, 'tryLock'>

export interface OwnedDirectory extends AsyncDisposable {
  /** Absolute, without symlinks (runtimes refuse them); ends with the id. */
  readonly path: string
  /** `tmp-` and twelve hex digits, unique on this machine. */
  readonly id: string
  /**
   * Renames the directory to `target`, whole, and gives up owning it. A target that is already there wins: ours is
   * then removed.
   */
  publish(target: string): Promise<void>
  /** Removes it, as disposing does. Returns the bytes that this freed. */
  remove(): Promise<number>
}

const LOCK = /^(tmp-[0-9a-f]{12})\.lock$/

/** A new empty directory (mode 0700) in `parent`, which is made when missing. Disposing removes it with its content. */
export function createOwnedDirectory(linux: Locks, parent: string): OwnedDirectory {
  mkdirSync(parent, { recursive: true, mode: 0o711 })
  const { id, lock } = createLock(linux, parent)
  const path = `${realpathSync(parent)}/${id}`
  mkdirSync(path, { mode: 0o700 })
  let owned = true

  async function remove(): Promise<number> {
    if (!owned) return 0
    owned = false
    const freed = await removeTree(path)
    unlinkSync(`${path}.lock`)
    closeSync(lock)
    return freed
  }

  return {
    path,
    id,
    async publish(target) {
      try {
        renameSync(path, target)
      } catch (error) {
        if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error
      }
      await remove()
    },
    remove,
    [Symbol.asyncDispose]: async () => void (await remove()),
  }
}

/**
 * Removes directories in `parent` whose owner is dead.
 * @param beforeRemoval undoes what else the owner left there (mounts, containers); throwing keeps the directory
 */
export async function removeAbandoned(
  linux: Linux,
  parent: string,
  beforeRemoval: (path: string) => Promise<void>,
): Promise<void> {
  for (const name of namesIn(parent)) {
    const id = LOCK.exec(name)?.[1]
    if (id === undefined) continue
    const lock = openLock(`${parent}/${name}`)
    if (lock === undefined) continue
    try {
      if (!linux.tryLock(lock)) continue
      await beforeRemoval(`${parent}/${id}`)
      await removeTree(`${parent}/${id}`)
      await removeTree(`${parent}/${name}`)
    } finally {
      closeSync(lock)
    }
  }
}

function createLock(linux: Locks, parent: string): { id: string; lock: number } {
  for (;;) {
    const id = `tmp-${randomBytes(6).toString('hex')}`
    const path = `${parent}/${id}.lock`
    const lock = openSync(path, 'wx', 0o600)
    // Between these two calls another process may take it for abandoned: then it has the lock, or has removed the file.
    if (linux.tryLock(lock) && existsSync(path)) return { id, lock }
    closeSync(lock)
  }
}

function openLock(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Empty for a directory that is not there. */
export function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
