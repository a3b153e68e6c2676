/**
 * What reading the files of a build context gave, kept between builds, so that an unchanged file is not read again.
 *
 * A file is unchanged when its stamp is. That fails for a file written twice within one tick of the disk's clock, so
 * what was read within a tick of a change is kept but not trusted (`racy`): the next build reads the file again. It
 * writes the record anew only where this will save more than it costs, and an unchanged build of a small context
 * writes nothing. Ticks are some milliseconds; where a time has no fraction, two seconds (FAT) must be assumed.
 *
 * ```
 * <directory>/<sha256 of the context's path>
 * ```
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ByteString } from '../../oci/byte-string.ts'
import { digestHex, digestOf } from '../../oci/digest.ts'
import { isErrno } from '../../oci/errors.ts'
import {
  type FileFacts,
  type FileStamp,
  openFiles,
  packFiles,
  packXattrs,
  type RememberedFile,
  type RememberedFiles,
} from './remembered-files.ts'

export interface StatCache {
  /** Undefined unless the file with this stamp has been read. */
  get(path: ByteString, stamp: FileStamp): FileFacts | undefined
  /** Adds to what is known of the file. */
  put(path: ByteString, stamp: FileStamp, facts: FileFacts): void
  /** Writes what is new; writes nothing when nothing is. Failure costs the next build time only. */
  save(): Promise<void>
}

export interface StatCacheOptions {
  /** `<store root>/context-digests` */
  readonly directory: string
  /** The build context, absolute. */
  readonly context: string
  /** Milliseconds since the epoch. */
  now(): number
}

const SECOND = 1_000_000_000n
const COARSE_TICK = 2n * SECOND
const FINE_TICK = SECOND / 10n
const MAX_RECORD_BYTES = 256 * 1024 * 1024
/** Files that no build has asked for since; beyond this many they are forgotten. */
const MAX_UNSEEN = 100_000
/** To read as much again costs less than the eye sees. */
const REREAD_BYTES = 8n * 1024n * 1024n

/** What earlier builds read of this context. A damaged or unreadable record is as good as none. */
export async function openStatCache(options: StatCacheOptions): Promise<StatCache> {
  const name = join(options.directory, digestHex(digestOf(options.context)))
  const loaded = openFiles(await load(name))
  /** Of what was loaded, the files that are there still. */
  const confirmed = new Uint8Array(loaded.count)
  const read = new Map<ByteString, RememberedFile>()
  return {
    get(path, stamp) {
      const current = read.get(path)
      if (current !== undefined) return isSameStamp(current.stamp, stamp) ? current : undefined
      const index = loaded.indexOf(path)
      if (index === undefined || loaded.isRacy(index) || !loaded.hasStamp(index, stamp)) return undefined
      confirmed[index] = 1
      return loaded.facts(index)
    },
    put(path, stamp, facts) {
      const index = loaded.indexOf(path)
      const isConfirmed = index !== undefined && confirmed[index] === 1
      const before = read.get(path) ?? (isConfirmed ? loaded.file(index) : undefined)
      const same = before !== undefined && isSameStamp(before.stamp, stamp) ? before : undefined
      const racy = isRacy(stamp, BigInt(Math.floor(options.now())) * 1_000_000n) || same?.racy === true
      read.set(path, { ...same, ...facts, stamp, racy })
    },
    async save() {
      if (isWorthWriting(read, loaded))
        await write(
          options.directory,
          name,
          allFiles(read, loaded, index => confirmed[index] === 1),
        )
    },
  }
}

function isSameStamp(a: FileStamp, b: FileStamp): boolean {
  const isSameContent = a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
  return isSameContent && a.ino === b.ino && a.dev === b.dev
}

function isRacy({ mtimeNs, ctimeNs }: FileStamp, now: bigint): boolean {
  const isFine = mtimeNs % SECOND !== 0n && ctimeNs % SECOND !== 0n
  const trusted = now - (isFine ? FINE_TICK : COARSE_TICK)
  return mtimeNs > trusted || ctimeNs > trusted
}

function isWorthWriting(read: ReadonlyMap<ByteString, RememberedFile>, loaded: RememberedFiles): boolean {
  let rereadBytes = 0n
  for (const [path, now] of read) {
    const index = loaded.indexOf(path)
    if (index === undefined || !loaded.hasStamp(index, now.stamp)) return true
    if (!hasFacts(loaded.facts(index), now)) return true
    if (loaded.isRacy(index) && !now.racy) rereadBytes += now.stamp.size
  }
  return rereadBytes > REREAD_BYTES
}

function hasFacts(before: FileFacts, now: FileFacts): boolean {
  if (now.digest !== undefined && now.digest !== before.digest) return false
  if (now.xattrs === undefined) return true
  return before.xattrs !== undefined && packXattrs(now.xattrs).equals(packXattrs(before.xattrs))
}

/** What this build asked for, and of the rest as much as is kept. */
function allFiles(
  read: ReadonlyMap<ByteString, RememberedFile>,
  loaded: RememberedFiles,
  isConfirmed: (index: number) => boolean,
): ReadonlyMap<ByteString, RememberedFile> {
  const files = new Map(read)
  let unseen = 0
  for (const [path, index] of loaded.paths()) {
    if (read.has(path) || (!isConfirmed(index) && ++unseen > MAX_UNSEEN)) continue
    files.set(path, loaded.file(index))
  }
  return files
}

async function write(
  directory: string,
  name: string,
  files: ReadonlyMap<ByteString, RememberedFile>,
): Promise<void> {
  const temporary = `${name}.${randomUUID()}`
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeFile(temporary, packFiles(files))
    await rename(temporary, name)
  } catch (error) {
    await rm(temporary, { force: true })
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT')) throw error
  }
}

async function load(name: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(name)
    return size > MAX_RECORD_BYTES ? NO_BYTES : await readFile(name)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) return NO_BYTES
    throw error
  }
}

const NO_BYTES = new Uint8Array(0)
