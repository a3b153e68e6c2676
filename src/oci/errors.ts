/**
 * The base of every error that Slipway throws on purpose.
 *
 * Each area has one subclass with one union of codes (`OciError`, `StoreError`, ...). Codes speak the area's
 * language, never HTTP and never exit codes: `registry/errors.ts` and `cli/exit-codes.ts` translate. A plain
 * `Error` that reaches the top is a bug in our code.
 *
 * Messages read "action, colon, state": `Cannot commit upload: want 5 bytes, got 4`. They carry no credentials.
 */
export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code
  /** Facts for machines (JSON-serializable); shown by the registry as the error's `detail`. */
  readonly detail?: unknown
  /** What the user can do about it, one line, if the message alone does not say. */
  readonly hint?: string

  constructor(code: Code, message: string, options: ErrorDetails = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.name = new.target.name
    if (options.detail !== undefined) this.detail = options.detail
    if (options.hint !== undefined) this.hint = options.hint
  }
}

export interface ErrorDetails {
  readonly cause?: unknown
  readonly detail?: unknown
  readonly hint?: string
}

export type OciErrorCode =
  | 'digest-invalid'
  | 'digest-mismatch'
  | 'size-mismatch'
  | 'reference-invalid'
  | 'platform-invalid'
  | 'descriptor-invalid'
  | 'manifest-invalid'
  | 'config-invalid'
  | 'layout-invalid'
  | 'tar-invalid'
  | 'layer-invalid'
  | 'content-missing'
  /** Content that costs more than the configuration allows: a bomb, or a limit to be raised. */
  | 'limit-exceeded'

/** A value that breaks an OCI specification, or content that is not what its descriptor promised. */
export class OciError extends CodedError<OciErrorCode> {}

/** True for an error of Node's own API (or of `src/linux`) with the given errno name, such as `ENOENT`. */
export function isErrno(error: unknown, ...names: readonly string[]): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && names.includes(error.code)
  )
}
