/**
 * What stands before an entry and changes it: PAX headers (`x` for the next entry, `g` for all that follow) and GNU
 * long names (`L`, `K`). Readers disagree about several of them for one entry, which is how an archive shows one
 * tree to a scanner and another to an unpacker: what no honest writer makes is refused.
 */
import { type ByteString, byteStringFrom } from '../byte-string.ts'
import { type ArchiveLimits, limitExceeded } from '../limits.ts'
import type { TarEntry, TarEntryType } from './entry.ts'
import { type TarHeader, tarInvalid } from './header.ts'
import { type PaxRecords, parsePaxRecords, parsePaxTime, XATTR_PREFIX } from './pax.ts'

const EXTENSION_TYPES = ['x', 'g', 'L', 'K'] as const
type ExtensionType = (typeof EXTENSION_TYPES)[number]

export function isExtensionType(type: string): type is ExtensionType {
  return (EXTENSION_TYPES as readonly string[]).includes(type)
}

const NO_RECORDS: PaxRecords = new Map()
/** Global records that are applied. Others say nothing about a file, or (`comment`) nothing at all. */
const GLOBAL_KEYS: readonly string[] = ['mtime', 'uid', 'gid']
/** Global records that would give every file one name, one length or one attribute. */
const REFUSED_GLOBAL_KEY = /^(?:path|linkpath|size|SCHILY\.xattr\..*|GNU\.sparse\..*)$/s

/** Collects extensions until the entry that they are about. */
export class EntryExtensions {
  readonly #global = new Map<ByteString, Buffer>()
  #records: PaxRecords = NO_RECORDS
  #seen = new Set<ExtensionType>()

  /** True when an entry must follow. */
  get isPending(): boolean {
    return this.#seen.size > 0
  }

  /** @param at offset of the extension's header, for messages @throws OciError `tar-invalid` */
  add(type: ExtensionType, body: Buffer, at: number): void {
    if (type === 'g') {
      this.#addGlobal(body, at)
      return
    }
    if (this.#seen.has(type)) throw tarInvalid(at, `two extended headers of type ${type} for one entry`)
    this.#seen.add(type)
    if (type === 'x') this.#records = mergeRecords(this.#records, parsePaxRecords(body, at), at)
    else this.#records = mergeRecords(this.#records, longName(type, body), at)
  }

  /** The entry that the header and the extensions before it describe; forgets the extensions. @throws OciError `tar-invalid` */
  apply(header: TarHeader, limits: ArchiveLimits, at: number): TarEntry {
    const records = this.#global.size === 0 ? this.#records : new Map([...this.#global, ...this.#records])
    this.#records = NO_RECORDS
    this.#seen.clear()
    return entryOf(header, records, limits, at)
  }

  #addGlobal(body: Buffer, at: number): void {
    if (this.isPending)
      throw tarInvalid(at, 'a global header stands between an extended header and its entry')
    for (const [key, value] of parsePaxRecords(body, at)) {
      if (REFUSED_GLOBAL_KEY.test(key)) throw tarInvalid(at, `a global header sets ${JSON.stringify(key)}`)
      if (!GLOBAL_KEYS.includes(key)) continue
      if (value.length === 0) this.#global.delete(key)
      else this.#global.set(key, value)
    }
  }
}

function longName(type: 'L' | 'K', body: Buffer): PaxRecords {
  const end = body.indexOf(0)
  const name = end < 0 ? body : body.subarray(0, end)
  return new Map([[(type === 'L' ? 'path' : 'linkpath') as ByteString, name]])
}

function mergeRecords(records: PaxRecords, more: PaxRecords, at: number): PaxRecords {
  for (const key of more.keys())
    if (records.has(key)) throw tarInvalid(at, `both PAX and GNU headers set the ${key} of one entry`)
  return records.size === 0 ? more : new Map([...records, ...more])
}

const ENTRY_TYPES: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
}
const MAX_ID = 0xff_ff_ff_fe
const MODE_BITS = 0o7777

function entryOf(header: TarHeader, records: PaxRecords, limits: ArchiveLimits, at: number): TarEntry {
  const rawPath = pathFrom(records, 'path') ?? header.path
  const type = entryType(header, rawPath, records, at)
  const path = withoutTrailingSlashes(rawPath)
  const linkPath = pathFrom(records, 'linkpath') ?? header.linkPath
  checkPath(path, 'path', limits, at)
  const { mtime, mtimeNanoseconds = 0 } = timeFrom(records, at) ?? { mtime: header.mtime }
  const xattrs = xattrsFrom(records, limits, at)
  const hasTarget = type === 'link' || type === 'symlink'
  if (hasTarget) {
    checkPath(linkPath, 'link target', limits, at)
    if (linkPath === '') throw tarInvalid(at, `the link ${JSON.stringify(path)} has no target`)
  }
  return {
    type,
    path,
    mode: header.mode & MODE_BITS,
    uid: idFrom(records, 'uid', at) ?? checkId(header.uid, 'uid', at),
    gid: idFrom(records, 'gid', at) ?? checkId(header.gid, 'gid', at),
    size: type === 'file' ? checkSize(integerFrom(records, 'size', at) ?? header.size, at) : 0,
    mtime,
    ...(mtimeNanoseconds > 0 && { mtimeNanoseconds }),
    ...(hasTarget && { linkPath }),
    ...((type === 'character' || type === 'block') && {
      deviceMajor: checkId(header.deviceMajor, 'device major', at),
      deviceMinor: checkId(header.deviceMinor, 'device minor', at),
    }),
    ...(xattrs !== undefined && { xattrs }),
  }
}

function entryType(header: TarHeader, path: ByteString, records: PaxRecords, at: number): TarEntryType {
  if (header.type === 'S' || [...records.keys()].some(key => key.startsWith('GNU.sparse.')))
    throw tarInvalid(at, 'sparse files are not supported: pack the archive without --sparse')
  const type = ENTRY_TYPES[header.type]
  if (type === undefined)
    throw tarInvalid(at, `entries of type ${JSON.stringify(header.type)} are not supported`)
  return header.type === '\0' && path.endsWith('/') ? 'directory' : type
}

function withoutTrailingSlashes(path: ByteString): ByteString {
  let end = path.length
  while (end > 0 && path[end - 1] === '/') end--
  return path.slice(0, end) as ByteString
}

function checkPath(path: ByteString, what: string, limits: ArchiveLimits, at: number): void {
  const { pathBytes, pathDepth } = limits
  if (path.length > pathBytes)
    throw limitExceeded(
      'pathBytes',
      pathBytes,
      `Cannot read tar at byte ${at}: a ${what} of ${path.length} bytes`,
    )
  if (path.includes('\0')) throw tarInvalid(at, `a ${what} holds a NUL`)
  if (path.length > pathDepth && path.split('/').length > pathDepth)
    throw limitExceeded('pathDepth', pathDepth, `Cannot read tar at byte ${at}: a ${what} of too many names`)
}

/** An empty value takes the record back: the header's field counts. */
function pathFrom(records: PaxRecords, key: string): ByteString | undefined {
  const value = records.get(key as ByteString)
  return value === undefined || value.length === 0 ? undefined : byteStringFrom(value)
}

function timeFrom(records: PaxRecords, at: number): { mtime: number; mtimeNanoseconds?: number } | undefined {
  const text = pathFrom(records, 'mtime')
  if (text === undefined) return undefined
  const time = parsePaxTime(text)
  if (time === undefined) throw tarInvalid(at, `the mtime ${JSON.stringify(text.slice(0, 40))} is not a time`)
  return time
}

function integerFrom(records: PaxRecords, key: string, at: number): number | undefined {
  const text = pathFrom(records, key)
  if (text === undefined) return undefined
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value))
    throw tarInvalid(at, `the ${key} ${JSON.stringify(text.slice(0, 40))} is not a number`)
  return value
}

function idFrom(records: PaxRecords, key: 'uid' | 'gid', at: number): number | undefined {
  const value = integerFrom(records, key, at)
  return value === undefined ? undefined : checkId(value, key, at)
}

function checkId(value: number, what: string, at: number): number {
  if (value < 0 || value > MAX_ID) throw tarInvalid(at, `the ${what} ${value} is not within 0 and ${MAX_ID}`)
  return value
}

function checkSize(value: number, at: number): number {
  if (value < 0) throw tarInvalid(at, `the size ${value} is negative`)
  return value
}

function xattrsFrom(
  records: PaxRecords,
  { xattrBytes }: ArchiveLimits,
  at: number,
): ReadonlyMap<string, Uint8Array> | undefined {
  if (records.size === 0) return undefined
  const xattrs = new Map<string, Uint8Array>()
  let bytes = 0
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_PREFIX)) continue
    const name = key.slice(XATTR_PREFIX.length)
    if (name === '') throw tarInvalid(at, 'an extended attribute has no name')
    bytes += name.length + value.length
    if (bytes > xattrBytes)
      throw limitExceeded(
        'xattrBytes',
        xattrBytes,
        `Cannot read tar at byte ${at}: the extended attributes of a file are too long`,
      )
    xattrs.set(name, value)
  }
  return xattrs.size === 0 ? undefined : xattrs
}
