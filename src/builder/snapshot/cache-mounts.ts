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
import { CodedError } from '../../oci/errors.ts'
import { requireOwner } from '../exec/unprivileged.ts'
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
  /** What it begins with instead, where that can be had. */
  readonly imported?: CacheMountContent
}

/** Of a cache mount of another machine. */
export interface CacheMountContent extends Pick<CacheMountRequest, 'mode' | 'uid' | 'gid'> {
  /** An uncompressed layer. Called for a directory that has to be made. @throws CodedError where it cannot be had */
  open(): Promise<AsyncIterable<Buffer>>
  /** Told that it was not used, and why. */
  failed(error: Error): void
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

export interface ExistingCacheMounts {
  /**
   * One that is there, and not used by anybody else meanwhile; undefined where there is none.
   * @param waiting called once, when somebody uses it
   */
  openExisting(key: Digest, signal: AbortSignal, waiting: () => void): Promise<CacheMount | undefined>
}

const RETRY_MS = 50

/** @param root of the store, absolute */
export function createCacheMounts({ root }: { readonly root: string }): CacheMounts & ExistingCacheMounts {
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
    async openExisting(key, signal, waiting) {
      const linux = await loadLinux()
      const directory = `${cacheMountDirectory(root)}/${digestHex(key)}/0`
      for (let told = false; existsSync(`${directory}/fs`); told = true) {
        const lock = openSync(`${directory}/lock`, 'a', 0o600)
        if (linux.tryLock(lock) && existsSync(`${directory}/fs`))
          return { directory: `${directory}/fs`, [Symbol.asyncDispose]: async () => closeSync(lock) }
        closeSync(lock)
        if (!told) waiting()
        await setTimeout(RETRY_MS, undefined, { signal })
      }
      return undefined
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
      await begin(linux, parent, `${directory}/fs`, request, signal)
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

async function begin(
  linux: Linux,
  parent: string,
  target: string,
  request: CacheMountRequest,
  signal: AbortSignal,
): Promise<void> {
  const { imported } = request
  if (imported !== undefined) {
    try {
      const tar = await imported.open()
      return await make(linux, parent, target, { ...imported, seed: () => tar }, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof CodedError)) throw error
      imported.failed(error)
    }
  }
  await make(linux, parent, target, request, signal)
}

async function make(
  linux: Linux,
  parent: string,
  target: string,
  { mode, uid, gid, seed }: Pick<CacheMountRequest, 'mode' | 'uid' | 'gid' | 'seed'>,
  signal: AbortSignal,
): Promise<void> {
  requireOwner({ uid, gid }, linux.idMaps)
  await using work = createOwnedDirectory(linux, parent)
  if (seed !== undefined) await applyLayer(seed(), { linux, directory: work.path, lower: [], signal })
  chownSync(work.path, uid, gid)
  chmodSync(work.path, mode)
  await work.publish(target)
}
