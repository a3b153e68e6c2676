/**
 * Directories that stay between builds, for `RUN --mount=type=cache` (semantics 66):
 *
 * ```
 * cache-mounts/<hex of the key>/<n>/fs     what steps see; 0, and more where steps want one of their own
 *                                  /lock   held while a step uses it: shared, or by one alone
 * cache-mounts/tmp-<id>                    being made, becomes an `fs` by rename
 * ```
 *
 * The kernel lets go of a lock when its process dies, however it dies.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeSync,
} from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { type Linux, loadLinux } from '../../linux/linux.ts'
import { type Digest, digestHex } from '../../oci/digest.ts'
import { applyLayer } from './apply.ts'
import { createOwnedDirectory } from './owned-directory.ts'
import { cacheMountDirectory } from './stale-state.ts'

export interface CacheMountRequest {
  /** Of all that tells one cache from another. */
  readonly key: Digest
  readonly sharing: 'shared' | 'private' | 'locked'
  /** Of a directory that has to be made. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** What it then begins with: an uncompressed layer. */
  readonly seed?: () => AsyncIterable<Buffer>
}

/** In use until it is disposed. */
export interface CacheMount extends AsyncDisposable {
  /** Absolute path. */
  readonly directory: string
}

export interface CacheMounts {
  /**
   * Waits for those who use it where it is not to be shared with them. Who needs several asks in the order of their
   * keys, so that no two wait for each other.
   * @param waiting called once, when there is somebody to wait for
   */
  acquire(request: CacheMountRequest, signal: AbortSignal, waiting: () => void): Promise<CacheMount>
}

const RETRY_MS = 50

/** @param root of the store, absolute */
export function createCacheMounts({ root }: { readonly root: string }): CacheMounts {
  return {
    async acquire(request, signal, waiting) {
      const linux = await loadLinux()
      const parent = cacheMountDirectory(root)
      let told = false
      for (let slot = 0; ; ) {
        signal.throwIfAborted()
        const directory = `${parent}/${digestHex(request.key)}/${slot}`
        const lock = await tryAcquire(linux, parent, directory, request, signal)
        if (lock !== undefined)
          return { directory: `${directory}/fs`, [Symbol.asyncDispose]: async () => closeSync(lock) }
        if (request.sharing === 'private') slot++
        else {
          if (!told) waiting()
          told = true
          await setTimeout(RETRY_MS, undefined, { signal })
        }
      }
    },
  }
}

/** An open file that holds the lock; undefined when somebody else has it. */
async function tryAcquire(
  linux: Linux,
  parent: string,
  directory: string,
  request: CacheMountRequest,
  signal: AbortSignal,
): Promise<number | undefined> {
  mkdirSync(parent, { recursive: true, mode: 0o711 })
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const lock = openSync(`${directory}/lock`, 'a', 0o600)
  try {
    const kind = request.sharing === 'shared' ? 'shared' : 'exclusive'
    if (!existsSync(`${directory}/fs`) && linux.tryLock(lock) && !existsSync(`${directory}/fs`))
      await make(linux, parent, `${directory}/fs`, request, signal)
    if (existsSync(`${directory}/fs`) && linux.tryLock(lock, kind)) {
      noteUse(lock)
      return lock
    }
  } catch (error) {
    closeSync(lock)
    throw error
  }
  closeSync(lock)
  return undefined
}

/** The time at which the lock was written is that of the last use. */
function noteUse(lock: number): void {
  ftruncateSync(lock, 0)
  writeSync(lock, '\n')
}

async function make(
  linux: Linux,
  parent: string,
  target: string,
  { mode, uid, gid, seed }: CacheMountRequest,
  signal: AbortSignal,
): Promise<void> {
  await using work = createOwnedDirectory(linux, parent)
  if (seed !== undefined) await applyLayer(seed(), { linux, directory: work.path, lower: [], signal })
  chownSync(work.path, uid, gid)
  chmodSync(work.path, mode)
  await work.publish(target)
}
