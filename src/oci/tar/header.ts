/**
 * The 512-byte header block (POSIX ustar, pax(1) "ustar Interchange Format"), and the dialects met in the wild:
 * V7 (no magic), GNU (`ustar  `, no prefix, numbers in base 256), star (a shorter prefix).
 */
import { type ByteString, byteStringFrom } from '../byte-string.ts'
import { OciError } from '../errors.ts'

export const BLOCK_BYTES = 512

/** A header block taken apart; what the numbers and the type mean together is the reader's business. */
export interface TarHeader {
  /** One character; NUL in V7 archives. */
  readonly type: string
  /** Prefix and name joined; a directory's ends with `/`. */
  readonly path: ByteString
  readonly linkPath: ByteString
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  /** 0 for all but devices, whatever the block says. */
  readonly deviceMajor: number
  readonly deviceMinor: number
}

type Field = readonly [start: number, length: number]

const NAME: Field = [0, 100]
const MODE: Field = [100, 8]
const UID: Field = [108, 8]
const GID: Field = [116, 8]
const SIZE: Field = [124, 12]
const MTIME: Field = [136, 12]
const CHECKSUM: Field = [148, 8]
const TYPE_AT = 156
const LINK_NAME: Field = [157, 100]
const MAGIC_AT = 257
const DEVICE_MAJOR: Field = [329, 8]
const DEVICE_MINOR: Field = [337, 8]
const PREFIX: Field = [345, 155]
const STAR_PREFIX: Field = [345, 131]
const STAR_TRAILER_AT = 508

/** The largest number in a field of this many bytes: octal digits and a NUL. */
export const MAX_OCTAL_7 = 0o7777777
export const MAX_OCTAL_11 = 0o77777777777

/**
 * @param at offset of the block in the archive, for messages
 * @returns undefined for a block of zeros
 * @throws OciError `tar-invalid`
 */
export function decodeHeader(block: Buffer, at: number): TarHeader | undefined {
  const [unsigned, signed] = checksums(block)
  if (unsigned === BLANK_CHECKSUM && isZero(block)) return undefined
  const stored = decodeNumber(block, CHECKSUM, 'checksum', at)
  if (stored !== unsigned && stored !== signed) throw tarInvalid(at, 'the checksum of the header is wrong')

  const type = String.fromCharCode(block[TYPE_AT] ?? 0)
  const isDevice = type === '3' || type === '4'
  return {
    type,
    path: decodePath(block),
    linkPath: decodeText(block, LINK_NAME),
    mode: decodeNumber(block, MODE, 'mode', at),
    uid: decodeNumber(block, UID, 'uid', at),
    gid: decodeNumber(block, GID, 'gid', at),
    size: decodeNumber(block, SIZE, 'size', at),
    mtime: decodeNumber(block, MTIME, 'mtime', at),
    deviceMajor: isDevice ? decodeNumber(block, DEVICE_MAJOR, 'device major', at) : 0,
    deviceMinor: isDevice ? decodeNumber(block, DEVICE_MINOR, 'device minor', at) : 0,
  }
}

/** A ustar block with numeric ids only. Text is cut and numbers become 0 where they do not fit: PAX records tell those. */
export function encodeHeader(header: TarHeader): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const { prefix, name } = splitPath(header.path) ?? { prefix: '', name: cutToAscii(header.path) }
  writeText(block, NAME, name)
  writeText(block, PREFIX, prefix)
  writeText(block, LINK_NAME, cutToAscii(header.linkPath))
  encodeOctal(block, MODE, header.mode)
  encodeOctal(block, UID, header.uid)
  encodeOctal(block, GID, header.gid)
  encodeOctal(block, SIZE, header.size)
  encodeOctal(block, MTIME, header.mtime)
  block.write(header.type, TYPE_AT, 'latin1')
  block.write('ustar\x0000', MAGIC_AT, 'latin1')
  encodeDevice(block, DEVICE_MAJOR, header.deviceMajor)
  encodeDevice(block, DEVICE_MINOR, header.deviceMinor)
  const [sum] = checksums(block)
  writeText(block, CHECKSUM, `${sum.toString(8).padStart(6, '0')}\0 `)
  return block
}

/** True when the path stands in the block whole: ASCII, and short enough for name or prefix and name. */
export function fitsHeaderPath(path: ByteString): boolean {
  return isAscii(path) && splitPath(path) !== undefined
}

export function fitsHeaderLink(linkPath: ByteString): boolean {
  return isAscii(linkPath) && linkPath.length <= LINK_NAME[1]
}

export function tarInvalid(at: number, problem: string): OciError {
  return new OciError('tar-invalid', `Cannot read tar at byte ${at}: ${problem}`)
}

/** The sum of an empty block: its checksum field counts as eight spaces. */
const BLANK_CHECKSUM = 8 * 0x20

/** The sum as POSIX has it, and the one of old writers with signed characters. */
function checksums(block: Buffer): [unsigned: number, signed: number] {
  let unsigned = BLANK_CHECKSUM
  let highBytes = 0
  for (let i = 0; i < BLOCK_BYTES; i++) {
    if (i === CHECKSUM[0]) i += CHECKSUM[1]
    const byte = block[i] ?? 0
    unsigned += byte
    highBytes += byte >> 7
  }
  return [unsigned, unsigned - 256 * highBytes]
}

function isZero(block: Buffer): boolean {
  return block.every(byte => byte === 0)
}

function decodePath(block: Buffer): ByteString {
  const name = decodeText(block, NAME)
  if (block.toString('latin1', MAGIC_AT, MAGIC_AT + 6) !== 'ustar\0') return name
  const isStar = block.toString('latin1', STAR_TRAILER_AT, BLOCK_BYTES) === 'tar\0'
  const prefix = decodeText(block, isStar ? STAR_PREFIX : PREFIX)
  return prefix === '' ? name : (`${prefix}/${name}` as ByteString)
}

/** Up to the first NUL. */
function decodeText(block: Buffer, [start, length]: Field): ByteString {
  const field = block.subarray(start, start + length)
  const end = field.indexOf(0)
  return byteStringFrom(end < 0 ? field : field.subarray(0, end))
}

/** Octal between spaces and NULs, blank for 0; or, with the top bit set, two's complement in base 256 (GNU). */
function decodeNumber(block: Buffer, field: Field, name: string, at: number): number {
  const [start, length] = field
  if ((block[start] ?? 0) >= 0x80) return decodeBase256(block, field, name, at)
  const end = start + length
  let i = start
  while (i < end && isBlank(block[i])) i++
  let value = 0
  for (; i < end && !isBlank(block[i]); i++) {
    const digit = (block[i] ?? 0) - 0x30
    if (digit < 0 || digit > 7) {
      const text = JSON.stringify(block.toString('latin1', start, end))
      throw tarInvalid(at, `the ${name} ${text} is not an octal number`)
    }
    value = value * 8 + digit
  }
  return value
}

function decodeBase256(block: Buffer, [start, length]: Field, name: string, at: number): number {
  const first = block[start] ?? 0
  const isNegative = (first & 0x40) !== 0
  const invert = isNegative ? 0xff : 0
  let value = (first ^ invert) & 0x7f
  for (let i = start + 1; i < start + length; i++) value = value * 256 + ((block[i] ?? 0) ^ invert)
  if (!Number.isSafeInteger(value)) throw tarInvalid(at, `the ${name} is beyond 53 bits`)
  return isNegative ? -1 - value : value
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0
}

function writeText(block: Buffer, [start, length]: Field, text: string): void {
  block.write(text, start, length, 'latin1')
}

function encodeOctal(block: Buffer, [start, length]: Field, value: number): void {
  const fits = value >= 0 && value < 8 ** (length - 1)
  block.write((fits ? value : 0).toString(8).padStart(length - 1, '0'), start, 'latin1')
}

/** PAX has no record for devices: numbers beyond 21 bits go in base 256, which every reader of today knows. */
function encodeDevice(block: Buffer, field: Field, value: number): void {
  encodeOctal(block, field, value)
  if (value <= MAX_OCTAL_7) return
  const [start] = field
  block.writeUInt16BE(0x8000, start)
  block.writeUIntBE(value, start + 2, 6)
}

/** At the last `/` that leaves both parts short enough; undefined when there is none. */
function splitPath(path: ByteString): { prefix: string; name: string } | undefined {
  if (path.length <= NAME[1]) return { prefix: '', name: path }
  const slash = path.lastIndexOf('/', Math.min(PREFIX[1], path.length - 2))
  if (slash < 1 || path.length - slash - 1 > NAME[1]) return undefined
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) }
}

/** For readers that do not know PAX, who see something like the name. */
function cutToAscii(text: ByteString): string {
  return text.slice(0, NAME[1]).replace(/[^\x20-\x7e]/g, '_')
}

function isAscii(text: ByteString): boolean {
  return !/[\x80-\xff]/.test(text)
}
