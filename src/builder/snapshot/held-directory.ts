import { closeSync, constants, existsSync, openSync } from 'node:fs'
import { fdPath } from '../../linux/linux.ts'

/** A directory that is itself, whatever somebody else makes of the path that led to it. */
export interface HeldDirectory extends Disposable {
  /** A path to a name in it, or to the directory. */
  at(name?: Uint8Array): Buffer
}

/**
 * Where the system does not lead from a descriptor to its files (`/proc/self/fd`), paths are what they are everywhere:
 * good as long as nobody else changes the directories meanwhile.
 * @throws an error of the system, also for a symlink
 */
export function holdDirectory(path: Buffer): HeldDirectory {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  const isReachable = existsSync(fdPath(descriptor))
  return {
    at: name => {
      if (isReachable) return fdPath(descriptor, name)
      return name === undefined ? path : Buffer.concat([path, Buffer.from('/'), name])
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  }
}
