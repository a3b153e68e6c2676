/**
 * The packed form of a table of contents: a version byte, then a zstd frame of
 *
 * ```
 * entries: count, each  type, fields (a bit per optional field), path, mode, uid, gid, size, mtime, [optional ...]
 * whiteouts: count, each path      opaque: count, each path
 * ```
 *
 * Numbers are varints (7 bits a byte, low first), signed ones folded; paths share the start of the one before.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { ByteString } from '../byte-string.ts'
import { digestHex, parseDigest } from '../digest.ts'
import { OciError } from '../errors.ts'
import type { TarEntryType } from '../tar/entry.ts'
import { BinaryReader, BinaryWriter } from './binary.ts'
import type { LayerToc, TocEntry } from './toc.ts'

const VERSION = 1
/** Beyond every table that the limits of the tar reader let through. */
const MAX_UNPACKED_BYTES = 1024 ** 3

/** The position is what is written: only ever append. */
const TYPES: readonly TarEntryType[] = ['file', 'directory', 'symlink', 'link', 'character', 'block', 'fifo']

const HAS_NANOSECONDS = 1
const HAS_LINK = 2
const HAS_DEVICE = 4
const HAS_XATTRS = 8
const HAS_DIGEST = 16
const HAS_OFFSET = 32

const SHA256_BYTES = 32

/** Equal tables have equal bytes. */
export function packToc(toc: LayerToc): Buffer {
  const writer = new BinaryWriter()
  writer.number(toc.entries.length)
  for (const entry of toc.entries) writeEntry(writer, entry)
  for (const paths of [toc.whiteouts, toc.opaque]) {
    writer.number(paths.length)
    for (const path of paths) writer.path(path)
  }
  const params = { [constants.ZSTD_c_compressionLevel]: 3 }
  return Buffer.concat([Buffer.from([VERSION]), zstdCompressSync(writer.bytes(), { params })])
}

/** @throws OciError `layer-invalid` for bytes that `packToc` of this version did not make */
export function unpackToc(bytes: Uint8Array): LayerToc {
  if (bytes[0] !== VERSION) throw invalid(`version ${bytes[0]} is not known`)
  const reader = new BinaryReader(inflate(bytes.subarray(1)), invalid)
  const entries = readList(reader, readEntry)
  const whiteouts = readList(reader, readPath)
  const opaque = readList(reader, readPath)
  if (!reader.isAtEnd) throw invalid('bytes are left over')
  return { entries, whiteouts, opaque }
}

function writeEntry(writer: BinaryWriter, entry: TocEntry): void {
  const { mtimeNanoseconds, linkPath, deviceMajor, deviceMinor, xattrs, digest, offset } = entry
  const hasDevice = deviceMajor !== undefined || deviceMinor !== undefined
  writer.number(TYPES.indexOf(entry.type))
  writer.number(
    (mtimeNanoseconds === undefined ? 0 : HAS_NANOSECONDS) |
      (linkPath === undefined ? 0 : HAS_LINK) |
      (hasDevice ? HAS_DEVICE : 0) |
      (xattrs === undefined ? 0 : HAS_XATTRS) |
      (digest === undefined ? 0 : HAS_DIGEST) |
      (offset === undefined ? 0 : HAS_OFFSET),
  )
  writer.path(entry.path)
  for (const value of [entry.mode, entry.uid, entry.gid, entry.size]) writer.number(value)
  writer.signed(entry.mtime)
  if (mtimeNanoseconds !== undefined) writer.number(mtimeNanoseconds)
  if (linkPath !== undefined) writer.text(linkPath)
  if (hasDevice) for (const value of [deviceMajor ?? 0, deviceMinor ?? 0]) writer.number(value)
  if (xattrs !== undefined) writeXattrs(writer, xattrs)
  if (digest !== undefined) writer.raw(Buffer.from(digestHex(digest), 'hex'))
  if (offset !== undefined) writer.number(offset)
}

function readEntry(reader: BinaryReader): TocEntry {
  const type = TYPES[reader.number()]
  if (type === undefined) throw invalid('an entry is of no known type')
  const fields = reader.number()
  const has = (field: number): boolean => (fields & field) !== 0
  return {
    type,
    path: readPath(reader),
    mode: reader.number(),
    uid: reader.number(),
    gid: reader.number(),
    size: reader.number(),
    mtime: reader.signed(),
    ...(has(HAS_NANOSECONDS) && { mtimeNanoseconds: reader.number() }),
    ...(has(HAS_LINK) && { linkPath: reader.text() as ByteString }),
    ...(has(HAS_DEVICE) && { deviceMajor: reader.number(), deviceMinor: reader.number() }),
    ...(has(HAS_XATTRS) && { xattrs: readXattrs(reader) }),
    ...(has(HAS_DIGEST) && { digest: parseDigest(`sha256:${reader.raw(SHA256_BYTES).toString('hex')}`) }),
    ...(has(HAS_OFFSET) && { offset: reader.number() }),
  }
}

function writeXattrs(writer: BinaryWriter, xattrs: ReadonlyMap<string, Uint8Array>): void {
  writer.number(xattrs.size)
  for (const [name, value] of xattrs) {
    writer.text(name)
    writer.number(value.length)
    writer.raw(value)
  }
}

function readXattrs(reader: BinaryReader): ReadonlyMap<string, Uint8Array> {
  return new Map(readList(reader, () => [reader.text(), Buffer.from(reader.raw(reader.number()))] as const))
}

function readPath(reader: BinaryReader): ByteString {
  return reader.path() as ByteString
}

function readList<T>(reader: BinaryReader, readItem: (reader: BinaryReader) => T): T[] {
  const items: T[] = []
  for (let left = reader.number(); left > 0; left--) items.push(readItem(reader))
  return items
}

function inflate(bytes: Uint8Array): Buffer {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES })
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause) throw invalid('it is corrupt', cause)
    throw cause
  }
}

function invalid(problem: string, cause?: unknown): OciError {
  return new OciError('layer-invalid', `Cannot unpack table of contents: ${problem}`, { cause })
}
