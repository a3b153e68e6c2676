/**
 * Packages of RPM: `rpmdb.sqlite`, which holds a header per package. A header is binary: how many tags there are, for
 * each its number, type, place and count, and then the data. (Databases of older forms, Berkeley DB and ndb, are not
 * read.)
 */
import { DatabaseSync } from 'node:sqlite'
import { formatPurl } from '../purl.ts'
import type { Distribution } from './os-release.ts'
import { type FoundPackage, foundPackage, MAX_PACKAGES_PER_FILE } from './package.ts'

const TAG = { name: 1000, version: 1001, release: 1002, epoch: 1003, license: 1014, arch: 1022, source: 1044 }
const INT32 = 4
/** One string, several, or several by language. */
const STRINGS: readonly number[] = [6, 8, 9]
const ENTRY_BYTES = 16
const MAX_TAGS = 10_000
/** Kernels with thousands of files have some hundred thousand. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024
/** A database may show the same pages as many packages. */
const MAX_BYTES = 512 * 1024 * 1024

/**
 * @param file a copy of the database, to which nobody else writes
 * @returns undefined for what is no database of packages
 */
export function readRpmDatabase(
  file: string,
  evidence: string,
  distribution: Distribution | undefined,
): readonly FoundPackage[] | undefined {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { readOnly: true, allowExtension: false })
    database.exec('PRAGMA trusted_schema = OFF')
    // A view or a virtual table could run for ever: only a plain table is looked into.
    const table = database
      .prepare("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'Packages'")
      .get()
    if (typeof table?.sql !== 'string' || !/^CREATE TABLE/i.test(table.sql)) return undefined
    return headersIn(database).flatMap(header => packageOf(header, evidence, distribution))
  } catch (error) {
    if (isSqliteError(error)) return undefined
    throw error
  } finally {
    database?.close()
  }
}

type Header = ReadonlyMap<number, string>

function headersIn(database: DatabaseSync): readonly Header[] {
  // A column can be computed, from nothing to a gigabyte for each row.
  const isStored = database
    .prepare("SELECT 1 FROM pragma_table_xinfo('Packages') WHERE name = 'blob' AND hidden = 0")
    .get()
  if (isStored === undefined) return []
  const headers: Header[] = []
  let bytes = 0
  for (const { blob } of database
    .prepare(
      "SELECT CASE typeof(blob) WHEN 'blob' THEN CASE WHEN length(blob) <= ? THEN blob END END AS blob FROM Packages LIMIT ?",
    )
    .iterate(MAX_HEADER_BYTES, MAX_PACKAGES_PER_FILE)) {
    if (!(blob instanceof Uint8Array)) continue
    bytes += blob.length
    if (bytes > MAX_BYTES) break
    headers.push(readHeader(Buffer.from(blob.buffer, blob.byteOffset, blob.length)))
  }
  return headers
}

function packageOf(
  header: Header,
  evidence: string,
  distribution: Distribution | undefined,
): readonly FoundPackage[] {
  const name = header.get(TAG.name) ?? ''
  // Keys that packages are signed with are kept among them.
  if (name === 'gpg-pubkey') return []
  const release = header.get(TAG.release)
  const version = [header.get(TAG.version) ?? '', ...(release === undefined ? [] : [release])].join('-')
  const purl = formatPurl({
    type: 'rpm',
    namespace: distribution?.id ?? '',
    name,
    version,
    qualifiers: {
      arch: header.get(TAG.arch),
      distro: distribution?.label,
      epoch: header.get(TAG.epoch),
      upstream: header.get(TAG.source),
    },
  })
  return foundPackage({ name, version, purl, evidence, license: header.get(TAG.license) })
}

/** The first value of each tag that is wanted; none of a header that is damaged. */
function readHeader(bytes: Buffer): Header {
  const found = new Map<number, string>()
  if (bytes.length < 8) return found
  const count = bytes.readUInt32BE(0)
  const dataAt = 8 + count * ENTRY_BYTES
  if (count > MAX_TAGS || dataAt > bytes.length) return found
  for (let index = 0; index < count; index++) {
    const at = 8 + index * ENTRY_BYTES
    const tag = bytes.readUInt32BE(at)
    const type = bytes.readUInt32BE(at + 4)
    const value = dataAt + bytes.readUInt32BE(at + 8)
    if (!WANTED.has(tag) || value >= bytes.length) continue
    if (STRINGS.includes(type)) {
      const end = bytes.indexOf(0, value)
      if (end >= 0) found.set(tag, bytes.toString('utf8', value, end))
    } else if (type === INT32 && value + 4 <= bytes.length) found.set(tag, String(bytes.readUInt32BE(value)))
  }
  return found
}

const WANTED: ReadonlySet<number> = new Set(Object.values(TAG))

function isSqliteError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR'
}
