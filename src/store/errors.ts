import { CodedError, isErrno } from '../oci/errors.ts'

export type StoreErrorCode =
  /** Content that was asked for, or that a manifest needs, is not stored. Detail: the digests. */
  | 'content-missing'
  /** Content that is to be taken away, and that a manifest needs. Detail: the manifest's digest. */
  | 'content-in-use'
  /** Content whose bytes on disk are not what was stored. */
  | 'content-corrupt'
  /** A tag that the configuration keeps as it is would be moved or removed. */
  | 'tag-immutable'
  /** Content would take more than the configuration allows. Detail: prefix, limit, used, needed. */
  | 'quota-exceeded'
  /** There is no ingest with this ID: committed, aborted, collected, or never begun. */
  | 'ingest-unknown'
  /** Another writer has this ingest open, or has moved it on. */
  | 'ingest-busy'
  /** The folder is not a store, is damaged, or was written by a newer version. */
  | 'store-invalid'
  | 'store-full'
  | 'store-denied'
  /** Other processes held the database for longer than anyone should. */
  | 'store-busy'
  /** The disk failed in another way. */
  | 'store-failed'

export class StoreError extends CodedError<StoreErrorCode> {}

/**
 * What a failure of the disk or of SQLite means for the store. Everything else, our own errors included, is
 * handed back as it is: `throw storeErrorFrom(error, 'Cannot write /var/lib/slipway/ingest/x')`.
 */
export function storeErrorFrom(error: unknown, action: string): unknown {
  if (!(error instanceof Error)) return error
  const code = isSqliteError(error) ? codeOfSqlite(error.errcode) : codeOfErrno(error)
  if (code === undefined) return error
  const state = STATES[code] ?? (isSqliteError(error) ? error.errstr : error.message)
  const hint = HINTS[code]
  return new StoreError(code, `${action}: ${state}`, { cause: error, ...(hint !== undefined && { hint }) })
}

const STATES: Partial<Record<StoreErrorCode, string>> = {
  'store-full': 'no space is left on the device (or the quota is used up)',
  'store-denied': 'permission denied, or the file system is read-only',
}

const HINTS: Partial<Record<StoreErrorCode, string>> = {
  'store-full': 'free some space, for example with "slipway prune" and "slipway gc"',
  'store-denied': 'a store is of the user who made it; --root or SLIPWAY_ROOT names another',
}

function codeOfErrno(error: Error): StoreErrorCode | undefined {
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) return 'store-full'
  if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) return 'store-denied'
  return 'syscall' in error ? 'store-failed' : undefined
}

interface SqliteError extends Error {
  /** SQLite's extended result code; its low byte is the primary one. */
  readonly errcode: number
  readonly errstr: string
}

function isSqliteError(error: Error): error is SqliteError {
  return isErrno(error, 'ERR_SQLITE_ERROR') && 'errcode' in error && typeof error.errcode === 'number'
}

/** The disk can also be full where SQLite grows its shared-memory file. */
const SQLITE_IOERR_SHMSIZE = 4874

const SQLITE_CODES: Readonly<Record<number, StoreErrorCode>> = {
  3: 'store-denied', // PERM
  5: 'store-busy', // BUSY
  6: 'store-busy', // LOCKED
  8: 'store-denied', // READONLY
  10: 'store-failed', // IOERR
  11: 'store-invalid', // CORRUPT
  13: 'store-full', // FULL
  14: 'store-denied', // CANTOPEN
  26: 'store-invalid', // NOTADB
}

/** Undefined for what only a mistake of ours can cause, such as a syntax error. */
function codeOfSqlite(errcode: number): StoreErrorCode | undefined {
  return errcode === SQLITE_IOERR_SHMSIZE ? 'store-full' : SQLITE_CODES[errcode & 0xff]
}
