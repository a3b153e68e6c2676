/**
 * Which committed snapshots are needed: who uses one holds a shared lock on its directory, and who removes one takes
 * the exclusive lock first. The kernel lets go of the locks of a process that ends, however it ends.
 */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Linux } from '../../linux/linux.ts'
import { isErrno } from '../../oci/errors.ts'

export interface SnapshotsInUse extends Disposable {
  /** From now on nobody removes the snapshot, also when it gets another name. False when it is not there. */
  hold(directory: string): Promise<boolean>
  /** Does not need it any more. */
  release(directory: string): void
}

/** Disposing lets go of all. */
export function createSnapshotsInUse(linux: Linux): SnapshotsInUse {
  const held = new Map<string, number>()
  return {
    async hold(directory) {
      for (;;) {
        const known = held.get(directory)
        if (known !== undefined && isAt(known, directory)) return true
        const fd = openDirectory(directory)
        if (fd === undefined) return false
        if (linux.tryLock(fd, 'shared') && isAt(fd, directory)) {
          if (known !== undefined) closeSync(known)
          held.set(directory, fd)
          return true
        }
        closeSync(fd)
        // Who has the exclusive lock is about to take the directory away.
        await delay(1)
      }
    },
    release(directory) {
      const fd = held.get(directory)
      if (fd !== undefined) closeSync(fd)
      held.delete(directory)
    },
    [Symbol.dispose]() {
      for (const fd of held.values()) closeSync(fd)
      held.clear()
    },
  }
}

/**
 * Runs `remove` with the directory locked, unless somebody uses it.
 * @param remove takes the directory away by a rename
 * @returns false when somebody does, or the directory is not there
 */
export function removeUnlessInUse(linux: Linux, directory: string, remove: () => void): boolean {
  const fd = openDirectory(directory)
  if (fd === undefined) return false
  try {
    if (!linux.tryLock(fd) || !isAt(fd, directory)) return false
    remove()
    return true
  } finally {
    closeSync(fd)
  }
}

function openDirectory(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Between opening and locking, the directory may have gone, and another one have come in its place. */
function isAt(fd: number, path: string): boolean {
  const there = statSync(path, { bigint: true, throwIfNoEntry: false })
  return there !== undefined && there.ino === fstatSync(fd, { bigint: true }).ino
}
