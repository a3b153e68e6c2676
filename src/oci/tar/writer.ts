/**
 * Writes tar archives: a ustar header per entry, before it a PAX header where ustar cannot say it. The bytes depend
 * on the entries alone.
 */
import { type ByteString, displayText } from '../byte-string.ts'
import { OciError } from '../errors.ts'
import type { TarEntry, TarEntryType } from './entry.ts'
import {
  BLOCK_BYTES,
  encodeHeader,
  fitsHeaderLink,
  fitsHeaderPath,
  MAX_OCTAL_7,
  MAX_OCTAL_11,
  type TarHeader,
} from './header.ts'
import { encodePaxRecords, formatPaxTime, XATTR_PREFIX } from './pax.ts'

export interface TarItem {
  readonly entry: TarEntry
  /** Exactly `entry.size` bytes; may be absent when that is 0. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
}

/** The entry's block, with the blocks of its PAX header before it where it needs one. @throws OciError `tar-invalid` */
export function encodeTarEntry(entry: TarEntry): Buffer {
  checkEntry(entry)
  const header = headerOf(entry)
  const records = paxRecordsOf(entry, header)
  if (records.size === 0) return encodeHeader(header)
  const body = encodePaxRecords(records)
  const paxHeader = { ...PAX_HEADER, size: body.length }
  return Buffer.concat([encodeHeader(paxHeader), body, padding(body.length), encodeHeader(header)])
}

/**
 * The archive, in chunks of about 256 KiB, ended with two zero blocks. Chunks of large bodies pass through uncopied.
 * @throws OciError `tar-invalid` when a body is not as long as its entry says, or an entry cannot be written
 */
export async function* writeTar(
  items: AsyncIterable<TarItem> | Iterable<TarItem>,
): AsyncGenerator<Buffer, void, undefined> {
  const joined = new ChunkJoiner()
  for await (const { entry, body } of items) {
    for (const chunk of joined.add(encodeTarEntry(entry))) yield chunk
    if (body === undefined || body instanceof Uint8Array) {
      checkBodySize(entry, body?.length ?? 0, true)
      if (body !== undefined) for (const chunk of joined.add(body)) yield chunk
    } else {
      let size = 0
      for await (const piece of body) {
        size += piece.length
        checkBodySize(entry, size, false)
        for (const chunk of joined.add(piece)) yield chunk
      }
      checkBodySize(entry, size, true)
    }
    for (const chunk of joined.add(padding(entry.size))) yield chunk
  }
  for (const chunk of joined.add(END_OF_ARCHIVE)) yield chunk
  for (const chunk of joined.flush()) yield chunk
}

const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_BYTES)

const TYPE_FLAGS: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

/** The name is seen only by readers that do not know PAX. */
const PAX_HEADER: TarHeader = {
  type: 'x',
  path: 'PaxHeaders/0' as ByteString,
  linkPath: '' as ByteString,
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  deviceMajor: 0,
  deviceMinor: 0,
}

function headerOf(entry: TarEntry): TarHeader {
  return {
    type: TYPE_FLAGS[entry.type],
    path:
      entry.type === 'directory' ? (`${entry.path === '' ? '.' : entry.path}/` as ByteString) : entry.path,
    linkPath: entry.linkPath ?? ('' as ByteString),
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    mtime: entry.mtime,
    deviceMajor: entry.deviceMajor ?? 0,
    deviceMinor: entry.deviceMinor ?? 0,
  }
}

function paxRecordsOf(entry: TarEntry, header: TarHeader): Map<ByteString, Buffer> {
  const records = new Map<ByteString, Buffer>()
  const set = (key: string, value: string) => records.set(key as ByteString, Buffer.from(value, 'latin1'))
  const { mtime, mtimeNanoseconds = 0 } = entry
  if (!fitsHeaderPath(header.path)) set('path', header.path)
  if (!fitsHeaderLink(header.linkPath)) set('linkpath', header.linkPath)
  if (entry.uid > MAX_OCTAL_7) set('uid', String(entry.uid))
  if (entry.gid > MAX_OCTAL_7) set('gid', String(entry.gid))
  if (entry.size > MAX_OCTAL_11) set('size', String(entry.size))
  if (mtime < 0 || mtime > MAX_OCTAL_11 || mtimeNanoseconds > 0)
    set('mtime', formatPaxTime(mtime, mtimeNanoseconds))
  for (const [name, value] of entry.xattrs ?? [])
    records.set(`${XATTR_PREFIX}${name}` as ByteString, Buffer.from(value))
  return records
}

function checkEntry(entry: TarEntry): void {
  const { type, path, linkPath = '', size, mode, uid, gid, mtime, mtimeNanoseconds = 0 } = entry
  const { deviceMajor = 0, deviceMinor = 0 } = entry
  const numbers = { size, mode, uid, gid, mtimeNanoseconds, deviceMajor, deviceMinor }
  for (const [name, value] of Object.entries(numbers))
    if (!Number.isSafeInteger(value) || value < 0) throw unwritable(entry, `its ${name} is ${value}`)
  if (!Number.isSafeInteger(mtime)) throw unwritable(entry, `its mtime is ${mtime}`)
  if (mtimeNanoseconds >= 1e9) throw unwritable(entry, `its mtimeNanoseconds is ${mtimeNanoseconds}`)
  if (mode > 0o7777) throw unwritable(entry, `its mode is 0${mode.toString(8)}`)
  if (size > 0 && type !== 'file') throw unwritable(entry, `a ${type} has no body, but its size is ${size}`)
  if (path.includes('\0') || linkPath.includes('\0')) throw unwritable(entry, 'a path holds a NUL')
  if (type !== 'directory' && (path === '' || path.endsWith('/')))
    throw unwritable(entry, `that is no name for a ${type}`)
  if ((type === 'link' || type === 'symlink') !== (linkPath !== ''))
    throw unwritable(entry, linkPath === '' ? `a ${type} needs a target` : `a ${type} has no target`)
  if (type === 'link' && linkPath.startsWith('/'))
    throw unwritable(entry, 'the target of a hard link is a path in the archive, not an absolute one')
}

function checkBodySize(entry: TarEntry, size: number, isWhole: boolean): void {
  if (size > entry.size || (isWhole && size < entry.size))
    throw unwritable(entry, `want ${entry.size} bytes of body, got ${isWhole ? size : 'more'}`)
}

function unwritable(entry: TarEntry, problem: string): OciError {
  return new OciError(
    'tar-invalid',
    `Cannot write tar entry ${JSON.stringify(displayText(entry.path))}: ${problem}`,
  )
}

function padding(size: number): Buffer {
  const over = size % BLOCK_BYTES
  return over === 0 ? NO_BYTES : Buffer.alloc(BLOCK_BYTES - over)
}

const NO_BYTES = Buffer.alloc(0)
const NO_CHUNKS: readonly Buffer[] = []
const CHUNK_BYTES = 256 * 1024
/** Pieces of this size are passed on as they are: joining costs more than another chunk. */
const LARGE_BYTES = 64 * 1024

/** Joins many small pieces into few chunks. */
class ChunkJoiner {
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  #filled = 0

  /** Chunks that the piece completed, mostly none. */
  add(piece: Uint8Array): readonly Buffer[] {
    if (piece.length >= LARGE_BYTES)
      return [...this.flush(), Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)]
    const full = this.#filled + piece.length > CHUNK_BYTES ? this.flush() : NO_CHUNKS
    this.#chunk.set(piece, this.#filled)
    this.#filled += piece.length
    return full
  }

  flush(): readonly Buffer[] {
    if (this.#filled === 0) return NO_CHUNKS
    const full = this.#chunk.subarray(0, this.#filled)
    this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    this.#filled = 0
    return [full]
  }
}
