import type { BuildErrorCode } from '../builder/errors.ts'
import { CodedError, type OciErrorCode } from '../oci/errors.ts'
import type { RegistryErrorCode } from '../registry/errors.ts'
import type { RemoteErrorCode } from '../remote/errors.ts'
import type { StoreErrorCode } from '../store/errors.ts'
import type { CliErrorCode } from './errors.ts'
import { isSystemError } from './system-error.ts'

/** The build or transfer failed. */
const FAILED = 1
/** The command, its configuration or its Dockerfile is wrong: running it again as it is will not help. */
const USAGE = 2
/** A bug of ours. */
const BUG = 70
/** 128 and the number of the signal, as shells count. */
const HUNG_UP = 129
const INTERRUPTED = 130
const TERMINATED = 143

type Code =
  | BuildErrorCode
  | CliErrorCode
  | OciErrorCode
  | RegistryErrorCode
  | RemoteErrorCode
  | StoreErrorCode

/** A code without a row does not compile. */
const EXIT_CODES: Readonly<Record<Code, number>> = {
  usage: USAGE,
  'config-invalid-file': USAGE,
  'config-unreadable': USAGE,
  'name-needs-host': USAGE,
  'reference-invalid': USAGE,
  'platform-invalid': USAGE,
  'dockerfile-missing': USAGE,
  'dockerfile-invalid': USAGE,
  'target-unknown': USAGE,
  'check-failed': FAILED,
  'address-invalid': USAGE,
  'users-invalid': USAGE,
  'grant-invalid': FAILED,
  'file-unreadable': FAILED,
  'output-closed': FAILED,
  'image-unknown': FAILED,
  'user-missing': FAILED,
  'token-exists': FAILED,
  'token-missing': FAILED,
  'run-impossible': FAILED,
  'digest-invalid': FAILED,
  'digest-mismatch': FAILED,
  'size-mismatch': FAILED,
  'descriptor-invalid': FAILED,
  'manifest-invalid': FAILED,
  'config-invalid': FAILED,
  'layout-invalid': FAILED,
  'tar-invalid': FAILED,
  'layer-invalid': FAILED,
  'limit-exceeded': FAILED,
  'content-missing': FAILED,
  'context-invalid': FAILED,
  'source-missing': FAILED,
  'copy-conflict': FAILED,
  'image-missing': FAILED,
  'image-unavailable': FAILED,
  'layer-lost': FAILED,
  'platform-missing': FAILED,
  'platform-unsupported': FAILED,
  'build-option-invalid': USAGE,
  'run-failed': FAILED,
  'layer-too-large': FAILED,
  'runtime-missing': FAILED,
  'privilege-missing': FAILED,
  'user-unknown': FAILED,
  'archive-invalid': FAILED,
  'download-failed': FAILED,
  'export-failed': FAILED,
  'content-corrupt': FAILED,
  'load-incomplete': FAILED,
  'tag-immutable': FAILED,
  'quota-exceeded': FAILED,
  'ingest-unknown': FAILED,
  'ingest-busy': FAILED,
  'store-invalid': FAILED,
  'store-full': FAILED,
  'store-denied': FAILED,
  'store-busy': FAILED,
  'store-failed': FAILED,
  'registry-unreachable': FAILED,
  'tls-failed': FAILED,
  'tls-invalid': USAGE,
  unauthorized: FAILED,
  denied: FAILED,
  'rate-limited': FAILED,
  'content-refused': FAILED,
  'registry-failed': FAILED,
  'response-invalid': FAILED,
  'credentials-invalid': FAILED,
  'address-in-use': FAILED,
  'endpoint-unknown': FAILED,
  'method-unsupported': FAILED,
  'name-invalid': FAILED,
  'name-unknown': FAILED,
  'blob-unknown': FAILED,
  'range-unsatisfiable': FAILED,
  'blob-in-use': FAILED,
  'content-in-use': FAILED,
  'request-invalid': FAILED,
  'request-too-slow': FAILED,
  'header-too-large': FAILED,
  'upload-unknown': FAILED,
  'upload-invalid': FAILED,
  'upload-out-of-order': FAILED,
  'size-invalid': FAILED,
  'manifest-unknown': FAILED,
  'manifest-too-large': FAILED,
  'manifest-blob-unknown': FAILED,
  'page-invalid': FAILED,
  'upstream-failed': FAILED,
  'upstream-unreachable': FAILED,
  interrupted: INTERRUPTED,
  terminated: TERMINATED,
  'hung-up': HUNG_UP,
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CodedError && isCode(error.code)) return EXIT_CODES[error.code]
  return isSystemError(error) ? FAILED : BUG
}

function isCode(code: string): code is Code {
  return Object.hasOwn(EXIT_CODES, code)
}
