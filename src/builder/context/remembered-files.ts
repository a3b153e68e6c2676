/**
 * What a stat cache keeps of files, as bytes that need no taking apart: an unchanged build asks for all of them, and an
 * object for each, made of JSON, took longer than asking the kernel for each.
 *
 * ```
 * magic (16)   count, bytes of paths, bytes of xattrs, 0 (4 x u32)
 * stamps       count x (size, mtimeNs, ctimeNs, ino, dev: i64)
 * digests      count x 32, of zeros where there is none
 * ends         count x (of the path, of the xattrs: u32)     flags   count x u8
 * paths        one after the other         xattrs   JSON, one after the other; no bytes for a file without any
 * SHA-256 of all this (32)
 * ```
 *
 * Numbers as the machine has them, which wrote it and reads it.
 */
import { hash } from 'node:crypto'
import type { ByteString } from '../../oci/byte-string.ts'
import { type Digest, digestHex } from '../../oci/digest.ts'
import { isStringMap, jsonBytes, parseJson } from '../../oci/json.ts'
import { NO_XATTRS } from './portable-xattrs.ts'

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

export interface RememberedFile extends FileFacts {
  readonly stamp: FileStamp
  readonly racy: boolean
}

export interface RememberedFiles {
  readonly count: number
  /** Of a path, for the methods below. */
  indexOf(path: ByteString): number | undefined
  paths(): Iterable<readonly [path: ByteString, index: number]>
  hasStamp(index: number, stamp: FileStamp): boolean
  isRacy(index: number): boolean
  facts(index: number): FileFacts
  file(index: number): RememberedFile
}

const MAGIC = Buffer.from('slipway files 2\n')
const HEADER_BYTES = 32
const STAMP_FIELDS = 5
const DIGEST_BYTES = 32
const SUM_BYTES = 32
const ROW_BYTES = STAMP_FIELDS * 8 + DIGEST_BYTES + 2 * 4 + 1

const IS_RACY = 1
const HAS_DIGEST = 2
const HAS_XATTRS = 4

export function packFiles(files: ReadonlyMap<ByteString, RememberedFile>): Buffer {
  const paths = Buffer.from([...files.keys()].join(''), 'latin1')
  const xattrs = [...files.values()].map(({ xattrs }) => packXattrs(xattrs))
  const xattrsBytes = Buffer.concat(xattrs)
  const count = files.size
  const bytes = Buffer.alloc(HEADER_BYTES + count * ROW_BYTES + paths.length + xattrsBytes.length + SUM_BYTES)
  const { stamps, digests, ends, flags, paths: pathsAt } = sectionsOf(bytes, count)
  MAGIC.copy(bytes)
  new Uint32Array(bytes.buffer, bytes.byteOffset + MAGIC.length, 3).set([
    count,
    paths.length,
    xattrsBytes.length,
  ])
  let index = 0
  let pathEnd = 0
  let xattrsEnd = 0
  for (const [path, { stamp, racy, digest, xattrs: known }] of files) {
    stamps.set([stamp.size, stamp.mtimeNs, stamp.ctimeNs, stamp.ino, stamp.dev], index * STAMP_FIELDS)
    const isKept = digest?.startsWith('sha256:') === true
    if (isKept) digests.write(digestHex(digest), index * DIGEST_BYTES, 'hex')
    pathEnd += path.length
    xattrsEnd += xattrs[index]?.length ?? 0
    ends.set([pathEnd, xattrsEnd], 2 * index)
    flags[index] = (racy ? IS_RACY : 0) | (isKept ? HAS_DIGEST : 0) | (known === undefined ? 0 : HAS_XATTRS)
    index++
  }
  paths.copy(bytes, pathsAt)
  xattrsBytes.copy(bytes, pathsAt + paths.length)
  sumOf(bytes).copy(bytes, bytes.length - SUM_BYTES)
  return bytes
}

/** Of bytes that `packFiles` did not make: no files. */
export function openFiles(packed: Uint8Array): RememberedFiles {
  const bytes = intact(packed) ?? packFiles(new Map())
  const [count = 0, pathsLength = 0] = new Uint32Array(bytes.buffer, bytes.byteOffset + MAGIC.length, 2)
  const { stamps, digests, ends, flags, paths } = sectionsOf(bytes, count)
  const xattrsStart = paths + pathsLength
  const hex = digests.toString('hex')
  const all = bytes.toString('latin1', paths, xattrsStart)
  const indexes = new Map<ByteString, number>()
  for (let index = 0, start = 0; index < count; index++) {
    const end = ends[2 * index] ?? 0
    indexes.set(all.slice(start, end) as ByteString, index)
    start = end
  }
  const has = (index: number, flag: number): boolean => ((flags[index] ?? 0) & flag) !== 0

  function digest(index: number): Digest {
    const start = 2 * DIGEST_BYTES * index
    // What was written in hex is a digest, whatever the bytes: to parse each would cost more than to look it up.
    return `sha256:${hex.slice(start, start + 2 * DIGEST_BYTES)}` as Digest
  }

  function xattrs(index: number): ReadonlyMap<string, Uint8Array> {
    const start = index === 0 ? 0 : (ends[2 * index - 1] ?? 0)
    const end = ends[2 * index + 1] ?? 0
    // For most files: an array, even an empty one, is dear.
    if (start === end) return NO_XATTRS
    return unpackXattrs(bytes.subarray(xattrsStart + start, xattrsStart + end))
  }

  function facts(index: number): FileFacts {
    const facts: { -readonly [Key in keyof FileFacts]: FileFacts[Key] } = {}
    if (has(index, HAS_DIGEST)) facts.digest = digest(index)
    if (has(index, HAS_XATTRS)) facts.xattrs = xattrs(index)
    return facts
  }

  function stamp(index: number): FileStamp {
    const at = index * STAMP_FIELDS
    const [size = 0n, mtimeNs = 0n, ctimeNs = 0n, ino = 0n, dev = 0n] = stamps.subarray(at, at + STAMP_FIELDS)
    return { size, mtimeNs, ctimeNs, ino, dev }
  }

  return {
    count,
    indexOf: path => indexes.get(path),
    paths: () => indexes,
    hasStamp(index, { size, mtimeNs, ctimeNs, ino, dev }) {
      const at = index * STAMP_FIELDS
      const isSameContent = stamps[at] === size && stamps[at + 1] === mtimeNs && stamps[at + 2] === ctimeNs
      return isSameContent && stamps[at + 3] === ino && stamps[at + 4] === dev
    },
    isRacy: index => has(index, IS_RACY),
    facts,
    file: index => ({ ...facts(index), stamp: stamp(index), racy: has(index, IS_RACY) }),
  }
}

function intact(packed: Uint8Array): Buffer | undefined {
  if (packed.length < HEADER_BYTES + SUM_BYTES) return undefined
  // Numbers must lie where the processor reads them.
  const bytes = packed.byteOffset % 8 === 0 ? asBuffer(packed) : asBuffer(new Uint8Array(packed))
  const isWhole =
    bytes.subarray(0, MAGIC.length).equals(MAGIC) && bytes.subarray(-SUM_BYTES).equals(sumOf(bytes))
  return isWhole ? bytes : undefined
}

export function packXattrs(xattrs: ReadonlyMap<string, Uint8Array> | undefined): Buffer {
  if (xattrs === undefined || xattrs.size === 0) return NO_BYTES
  const rows = [...xattrs].sort().map(([name, value]) => [name, Buffer.from(value).toString('base64')])
  return jsonBytes(Object.fromEntries(rows))
}

const NO_BYTES = Buffer.alloc(0)

function unpackXattrs(bytes: Buffer): ReadonlyMap<string, Uint8Array> {
  const values = parseJson(bytes)
  if (!isStringMap(values)) return NO_XATTRS
  return new Map(Object.entries(values).map(([name, value]) => [name, Buffer.from(value, 'base64')]))
}

function sectionsOf(bytes: Buffer, count: number) {
  const start = bytes.byteOffset + HEADER_BYTES
  const digestsAt = HEADER_BYTES + count * STAMP_FIELDS * 8
  const endsAt = digestsAt + count * DIGEST_BYTES
  const flagsAt = endsAt + count * 2 * 4
  return {
    stamps: new BigInt64Array(bytes.buffer, start, count * STAMP_FIELDS),
    digests: bytes.subarray(digestsAt, endsAt),
    ends: new Uint32Array(bytes.buffer, bytes.byteOffset + endsAt, 2 * count),
    flags: bytes.subarray(flagsAt, flagsAt + count),
    paths: flagsAt + count,
  }
}

function sumOf(bytes: Buffer): Buffer {
  return hash('sha256', bytes.subarray(0, -SUM_BYTES), 'buffer')
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
