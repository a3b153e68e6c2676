/**
 * What reading the files of a build context gave, kept between builds, so that an unchanged file is not read again.
 *
 * A file is unchanged when its stamp is. That fails for a file written twice within one tick of the disk's clock, so
 * what was read within a tick of a change is kept but not trusted (`racy`): the next build reads the file again. It
 * writes the record anew only where this will save more than it costs, and an unchanged build of a small context
 * writes nothing. Ticks are some milliseconds; where a time has no fraction, two seconds (FAT) must be assumed.
 *
 * ```
 * <directory>/<sha256 of the context's path>.json
 * ```
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ByteString } from '../../oci/byte-string.ts'
import { type Digest, digestHex, digestOf, isDigest } from '../../oci/digest.ts'
import { isErrno } from '../../oci/errors.ts'
import { isJsonObject, isStringMap, jsonBytes, parseJson } from '../../oci/json.ts'

/** What of lstat(2) tells that a file is still the one that was read. */
export interface FileStamp {
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
  readonly dev: bigint
}

/** What reading a file gave. */
export interface FileFacts {
  /** Of a file's content. */
  readonly digest?: Digest
  readonly xattrs?: ReadonlyMap<string, Uint8Array>
}

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

interface Known extends FileFacts {
  /** The stamp as text, to compare in one step. */
  readonly stamp: string
  readonly size: number
  readonly racy: boolean
}

const FORMAT_VERSION = 1
const SECOND = 1_000_000_000n
const COARSE_TICK = 2n * SECOND
const FINE_TICK = SECOND / 10n
const MAX_RECORD_BYTES = 256 * 1024 * 1024
/** Files that no build has asked for since; beyond this many they are forgotten. */
const MAX_UNSEEN = 100_000
/** To read as much again costs less than the eye sees. */
const REREAD_BYTES = 8 * 1024 * 1024

/** What earlier builds read of this context. A damaged or unreadable record is as good as none. */
export async function openStatCache(options: StatCacheOptions): Promise<StatCache> {
  const name = join(options.directory, `${digestHex(digestOf(options.context))}.json`)
  const loaded = await load(name)
  const seen = new Map<ByteString, Known>()
  return {
    get(path, stamp) {
      const current = seen.get(path)
      const known = current ?? loaded.get(path)
      if (known === undefined || known.stamp !== stampText(stamp)) return undefined
      if (current === undefined && known.racy) return undefined
      seen.set(path, known)
      return known
    },
    put(path, stamp, facts) {
      const text = stampText(stamp)
      const before = seen.get(path)
      const racy = isRacy(stamp, BigInt(Math.floor(options.now())) * 1_000_000n)
      seen.set(path, {
        ...(before?.stamp === text && before),
        ...facts,
        stamp: text,
        size: Number(stamp.size),
        racy: racy || (before?.stamp === text && before.racy),
      })
    },
    async save() {
      if (isWorthWriting(seen, loaded)) await write(options.directory, name, seen, loaded)
    },
  }
}

function stampText({ size, mtimeNs, ctimeNs, ino, dev }: FileStamp): string {
  return `${size} ${mtimeNs} ${ctimeNs} ${ino} ${dev}`
}

function isRacy({ mtimeNs, ctimeNs }: FileStamp, now: bigint): boolean {
  const isFine = mtimeNs % SECOND !== 0n && ctimeNs % SECOND !== 0n
  const trusted = now - (isFine ? FINE_TICK : COARSE_TICK)
  return mtimeNs > trusted || ctimeNs > trusted
}

function isWorthWriting(
  seen: ReadonlyMap<ByteString, Known>,
  loaded: ReadonlyMap<ByteString, Known>,
): boolean {
  let rereadBytes = 0
  for (const [path, now] of seen) {
    const before = loaded.get(path)
    if (before === now) continue
    if (before === undefined || before.stamp !== now.stamp || !hasFacts(before, now)) return true
    if (before.racy && !now.racy) rereadBytes += now.size
  }
  return rereadBytes > REREAD_BYTES
}

function hasFacts(before: Known, now: Known): boolean {
  if (now.digest !== undefined && now.digest !== before.digest) return false
  return now.xattrs === undefined || JSON.stringify(packXattrs(now)) === JSON.stringify(packXattrs(before))
}

async function write(
  directory: string,
  name: string,
  seen: ReadonlyMap<ByteString, Known>,
  loaded: ReadonlyMap<ByteString, Known>,
): Promise<void> {
  const unseen = [...loaded].filter(([path]) => !seen.has(path))
  const files = [...seen, ...unseen.slice(0, MAX_UNSEEN)].map(([path, known]) => [
    path,
    known.stamp,
    known.size,
    known.racy,
    known.digest ?? null,
    packXattrs(known),
  ])
  const temporary = `${name}.${randomUUID()}`
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeFile(temporary, jsonBytes({ version: FORMAT_VERSION, files }))
    await rename(temporary, name)
  } catch (error) {
    await rm(temporary, { force: true })
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT')) throw error
  }
}

async function load(name: string): Promise<ReadonlyMap<ByteString, Known>> {
  const record = await readRecord(name)
  const files = isJsonObject(record) && record.version === FORMAT_VERSION ? record.files : undefined
  const known = new Map<ByteString, Known>()
  for (const row of Array.isArray(files) ? files : []) {
    const file = Array.isArray(row) ? parseRow(row) : undefined
    if (file === undefined) return new Map()
    known.set(...file)
  }
  return known
}

async function readRecord(name: string): Promise<unknown> {
  try {
    const { size } = await stat(name)
    return size > MAX_RECORD_BYTES ? undefined : parseJson(await readFile(name))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) return undefined
    throw error
  }
}

function parseRow(row: readonly unknown[]): [ByteString, Known] | undefined {
  const [path, stamp, size, racy, digest, xattrs] = row
  if (typeof path !== 'string' || typeof stamp !== 'string' || typeof size !== 'number') return undefined
  if (digest !== null && (typeof digest !== 'string' || !isDigest(digest))) return undefined
  if (xattrs !== null && !isStringMap(xattrs)) return undefined
  const known: Known = {
    stamp,
    size,
    racy: racy !== false,
    ...(digest !== null && { digest }),
    ...(xattrs !== null && {
      xattrs: new Map(Object.entries(xattrs).map(([key, value]) => [key, Buffer.from(value, 'base64')])),
    }),
  }
  return [path as ByteString, known]
}

function packXattrs({ xattrs }: FileFacts): Readonly<Record<string, string>> | null {
  if (xattrs === undefined) return null
  return Object.fromEntries(
    [...xattrs].sort().map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  )
}
