import { closeSync, fstatSync, mkdirSync, openSync, statSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { Linux } from '../../linux/linux.ts'

/** In use until it is disposed. */
export interface LockedRepository extends Disposable {
  readonly path: string
}

const RETRY_MS = 50

/**
 * Waits until no other process uses the repository.
 * @param directory of the repository and its lock; made when missing
 */
export async function lockRepository(
  linux: Pick<Linux, 'tryLock'>,
  directory: string,
  signal: AbortSignal,
): Promise<LockedRepository> {
  for (;;) {
    signal.throwIfAborted()
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const lock = tryLockRepository(linux, directory)
    if (lock !== undefined)
      return { path: `${directory}/repository`, [Symbol.dispose]: () => closeSync(lock) }
    await setTimeout(RETRY_MS, undefined, { signal })
  }
}

/** An open file that holds the lock; undefined when somebody else has it, or has just removed the repository. */
export function tryLockRepository(linux: Pick<Linux, 'tryLock'>, directory: string): number | undefined {
  const path = `${directory}/lock`
  const lock = openSync(path, 'a', 0o600)
  if (linux.tryLock(lock) && statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(lock).ino)
    return lock
  closeSync(lock)
  return undefined
}
