/**
 * The one place where errors become HTTP. Every code of every area that a request can meet has a row here: its
 * status, its code of the distribution-spec ("Error Codes"), and a message where ours must not leave the house
 * (paths of this machine). Whatever has no row is our bug: 500, said in general words, logged by `app.ts`.
 */
import { CodedError, type ErrorDetails, OciError, type OciErrorCode } from '../oci/errors.ts'
import { StoreError, type StoreErrorCode } from '../store/errors.ts'

export type RegistryErrorCode =
  | 'request-invalid'
  | 'request-too-slow'
  | 'header-too-large'
  | 'endpoint-unknown'
  | 'method-unsupported'
  | 'name-invalid'
  | 'name-unknown'
  | 'digest-invalid'
  | 'blob-unknown'
  | 'blob-in-use'
  | 'range-unsatisfiable'
  | 'upload-unknown'
  | 'upload-invalid'
  | 'upload-out-of-order'
  | 'size-invalid'
  | 'manifest-unknown'
  | 'manifest-invalid'
  | 'manifest-too-large'
  | 'manifest-blob-unknown'
  | 'page-invalid'
  | 'unauthorized'
  | 'denied'
  | 'rate-limited'
  | 'grant-invalid'
  | 'users-invalid'
  | 'upstream-failed'
  | 'upstream-unreachable'
  | 'content-corrupt'
  | 'address-in-use'
  | 'address-invalid'
  | 'tls-invalid'

/** A request that the registry refuses, or a registry that cannot be served. */
export class RegistryError extends CodedError<RegistryErrorCode> {
  /** Of the answer: `WWW-Authenticate`, `Retry-After`. */
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: RegistryErrorCode,
    message: string,
    { headers = {}, ...details }: ErrorDetails & { readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(code, message, details)
    this.headers = headers
  }
}

/** The codes of the specification, and `UNKNOWN` for faults of ours (the specification binds only 4xx answers). */
export type SpecCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS'
  | 'UNKNOWN'

type Row = readonly [status: number, code: SpecCode, publicMessage?: string]

const FAULT: Row = [500, 'UNKNOWN', 'The registry failed; its log has the cause']

const REGISTRY_ROWS = {
  'request-invalid': [400, 'UNSUPPORTED'],
  'request-too-slow': [408, 'UNSUPPORTED'],
  'header-too-large': [431, 'SIZE_INVALID'],
  'endpoint-unknown': [404, 'UNSUPPORTED'],
  'method-unsupported': [405, 'UNSUPPORTED'],
  'name-invalid': [400, 'NAME_INVALID'],
  'name-unknown': [404, 'NAME_UNKNOWN'],
  'digest-invalid': [400, 'DIGEST_INVALID'],
  'blob-unknown': [404, 'BLOB_UNKNOWN'],
  'blob-in-use': [405, 'DENIED'],
  'range-unsatisfiable': [416, 'SIZE_INVALID'],
  'upload-unknown': [404, 'BLOB_UPLOAD_UNKNOWN'],
  'upload-invalid': [400, 'BLOB_UPLOAD_INVALID'],
  'upload-out-of-order': [416, 'BLOB_UPLOAD_INVALID'],
  'size-invalid': [400, 'SIZE_INVALID'],
  'manifest-unknown': [404, 'MANIFEST_UNKNOWN'],
  'manifest-invalid': [400, 'MANIFEST_INVALID'],
  'manifest-too-large': [413, 'SIZE_INVALID'],
  'manifest-blob-unknown': [400, 'MANIFEST_BLOB_UNKNOWN'],
  'page-invalid': [400, 'UNSUPPORTED'],
  unauthorized: [401, 'UNAUTHORIZED'],
  denied: [403, 'DENIED'],
  'rate-limited': [429, 'TOOMANYREQUESTS'],
  'grant-invalid': [400, 'UNSUPPORTED'],
  'users-invalid': FAULT,
  'upstream-failed': [502, 'UNKNOWN'],
  'upstream-unreachable': [504, 'UNKNOWN'],
  'content-corrupt': FAULT,
  'address-in-use': FAULT,
  'address-invalid': FAULT,
  'tls-invalid': FAULT,
} as const satisfies Record<RegistryErrorCode, Row>

const OCI_ROWS = {
  'digest-invalid': [400, 'DIGEST_INVALID'],
  'digest-mismatch': [400, 'DIGEST_INVALID'],
  'size-mismatch': [400, 'SIZE_INVALID'],
  'reference-invalid': [400, 'NAME_INVALID'],
  'platform-invalid': [400, 'MANIFEST_INVALID'],
  'descriptor-invalid': [400, 'MANIFEST_INVALID'],
  'manifest-invalid': [400, 'MANIFEST_INVALID'],
  'config-invalid': [400, 'MANIFEST_INVALID'],
  'layout-invalid': FAULT,
  'tar-invalid': FAULT,
  'layer-invalid': FAULT,
  'content-missing': [404, 'BLOB_UNKNOWN'],
  'limit-exceeded': [413, 'SIZE_INVALID'],
} as const satisfies Record<OciErrorCode, Row>

/** A full disk is 507: clients print the status or try again later, and reads go on. The specification has no code. */
const STORE_ROWS = {
  'content-missing': [404, 'BLOB_UNKNOWN'],
  'content-in-use': [405, 'DENIED'],
  'content-corrupt': FAULT,
  'tag-immutable': [403, 'DENIED'],
  'quota-exceeded': [403, 'DENIED'],
  'ingest-unknown': [404, 'BLOB_UPLOAD_UNKNOWN'],
  'ingest-busy': [409, 'BLOB_UPLOAD_INVALID', 'Cannot go on with upload: another request is writing to it'],
  'store-invalid': FAULT,
  'store-full': [507, 'UNKNOWN', 'Cannot store content: the disk of the registry is full'],
  'store-denied': FAULT,
  'store-busy': [503, 'UNKNOWN', 'The registry is too busy; try again'],
  'store-failed': FAULT,
} as const satisfies Record<StoreErrorCode, Row>

export interface ErrorAnswer {
  readonly status: number
  /** `{"errors":[{code, message, detail}]}` */
  readonly body: Buffer
}

export function answerOf(error: unknown): ErrorAnswer {
  const row = rowOf(error)
  if (!(error instanceof CodedError)) return errorAnswer(row, FAULT[2] ?? '')
  const [, , publicMessage] = row
  return publicMessage === undefined
    ? errorAnswer(row, error.message, error.detail)
    : errorAnswer(row, publicMessage)
}

/** True for errors that nobody outside caused: their cause belongs into the log. */
export function isFault(error: unknown): boolean {
  return rowOf(error)[0] >= 500
}

function rowOf(error: unknown): Row {
  if (error instanceof RegistryError) return REGISTRY_ROWS[error.code]
  if (error instanceof OciError) return OCI_ROWS[error.code]
  if (error instanceof StoreError) return STORE_ROWS[error.code]
  return FAULT
}

function errorAnswer([status, code]: Row, message: string, detail?: unknown): ErrorAnswer {
  const error = { code, message, ...(detail !== undefined && { detail }) }
  return { status, body: Buffer.from(JSON.stringify({ errors: [error] })) }
}
