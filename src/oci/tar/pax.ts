/** PAX extended headers: records of `LENGTH KEY=VALUE\n`, LENGTH counting the whole record (pax(1) "pax Extended Header"). */
import { type ByteString, byteStringFrom, bytesOf, compareByteStrings } from '../byte-string.ts'
import { OciError } from '../errors.ts'
import { tarInvalid } from './header.ts'

/** By key; values are bytes. Of a key named twice, the last counts. */
export type PaxRecords = ReadonlyMap<ByteString, Buffer>

/** Extended attributes stand under this and their name; values are binary. */
export const XATTR_PREFIX = 'SCHILY.xattr.'

const SPACE = 0x20
const EQUALS = 0x3d
const NEWLINE = 0x0a
/** More digits than a length within any extension limit can have. */
const MAX_LENGTH_DIGITS = 10

/** @param at offset of the header in the archive, for messages @throws OciError `tar-invalid` */
export function parsePaxRecords(bytes: Buffer, at: number): Map<ByteString, Buffer> {
  const records = new Map<ByteString, Buffer>()
  for (let start = 0; start < bytes.length; ) {
    const space = bytes.indexOf(SPACE, start)
    const digits = bytes.toString(
      'latin1',
      start,
      Math.min(space < 0 ? bytes.length : space, start + MAX_LENGTH_DIGITS),
    )
    const end = start + Number(digits)
    if (space < 0 || !/^[1-9][0-9]*$/.test(digits) || end > bytes.length || end <= space)
      throw tarInvalid(at, 'a PAX record has a wrong length')
    const equals = bytes.subarray(0, end).indexOf(EQUALS, space)
    if (equals <= space + 1 || bytes[end - 1] !== NEWLINE)
      throw tarInvalid(at, 'a PAX record is not of the form KEY=VALUE')
    const key = byteStringFrom(bytes.subarray(space + 1, equals))
    if (key.includes('\0')) throw tarInvalid(at, 'a PAX record has a NUL in its key')
    records.set(key, bytes.subarray(equals + 1, end - 1))
    start = end
  }
  return records
}

/** Sorted by key, so that equal records have equal bytes. @throws OciError `tar-invalid` for a key that no record can hold */
export function encodePaxRecords(records: PaxRecords): Buffer {
  const keys = [...records.keys()].sort(compareByteStrings)
  return Buffer.concat(keys.map(key => encodeRecord(key, records.get(key) ?? Buffer.alloc(0))))
}

/** Seconds with an optional fraction, such as `1700000000.25` or `-0.5`; nanoseconds count upwards from `mtime`. */
export function parsePaxTime(text: string): { mtime: number; mtimeNanoseconds: number } | undefined {
  const match = /^(-?)([0-9]{1,17})(?:\.([0-9]*))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole, fraction = ''] = match
  const seconds = Number(whole)
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'))
  if (!Number.isSafeInteger(seconds + 1)) return undefined
  if (sign === '') return { mtime: seconds, mtimeNanoseconds: nanoseconds }
  if (nanoseconds === 0) return { mtime: 0 - seconds, mtimeNanoseconds: 0 }
  return { mtime: -1 - seconds, mtimeNanoseconds: 1e9 - nanoseconds }
}

/** The inverse of `parsePaxTime`, without trailing zeros. */
export function formatPaxTime(mtime: number, mtimeNanoseconds: number): string {
  if (mtimeNanoseconds === 0) return String(mtime)
  if (mtime < 0) return `-${-1 - mtime}.${fractionOf(1e9 - mtimeNanoseconds)}`
  return `${mtime}.${fractionOf(mtimeNanoseconds)}`
}

function fractionOf(nanoseconds: number): string {
  return String(nanoseconds).padStart(9, '0').replace(/0+$/, '')
}

function encodeRecord(key: ByteString, value: Buffer): Buffer {
  if (key === '' || /[=\0]/.test(key))
    throw new OciError(
      'tar-invalid',
      `Cannot write tar: no PAX record can hold the key ${JSON.stringify(key)}`,
    )
  const rest = key.length + value.length + 3
  let length = rest + String(rest).length
  if (String(length).length > String(rest).length) length = rest + String(length).length
  return Buffer.concat([bytesOf(`${length} ${key}=` as ByteString), value, Buffer.from('\n')])
}
