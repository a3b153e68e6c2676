import { CodedError, type ErrorDetails, OciError, type OciErrorCode } from '../oci/errors.ts'
import { RemoteError, type RemoteErrorCode } from '../remote/errors.ts'
import { StoreError, type StoreErrorCode } from '../store/errors.ts'
import type { SourceSpan } from './dockerfile/source.ts'

/** Our own, and those of the areas below, whose errors get a place here. */
export type BuildErrorCode =
  | OciErrorCode
  | RemoteErrorCode
  | StoreErrorCode
  | 'dockerfile-missing'
  | 'dockerfile-invalid'
  | 'check-failed'
  | 'context-invalid'
  | 'source-missing'
  | 'copy-conflict'
  | 'image-missing'
  | 'image-unavailable'
  /** Of an imported cache: the build is solved once more without it. Nobody outside of the builder sees it. */
  | 'layer-lost'
  | 'platform-missing'
  | 'platform-unsupported'
  | 'build-option-invalid'
  | 'run-failed'
  | 'layer-too-large'
  | 'runtime-missing'
  | 'privilege-missing'
  | 'user-unknown'
  | 'archive-invalid'
  | 'download-failed'
  | 'export-failed'
  | 'target-unknown'

/** A build that cannot go on. The place is set once, where it is first known. */
export class BuildError extends CodedError<BuildErrorCode> {
  readonly span?: SourceSpan
  /** For `run-failed`. */
  readonly exitCode?: number

  constructor(
    code: BuildErrorCode,
    message: string,
    options: ErrorDetails & { readonly span?: SourceSpan; readonly exitCode?: number } = {},
  ) {
    super(code, message, options)
    if (options.span !== undefined) this.span = options.span
    if (options.exitCode !== undefined) this.exitCode = options.exitCode
  }
}

/**
 * An error of the builder or of an area below it with its place in the Dockerfile, unless it has one. What is not
 * such an error stays as it is.
 */
export function withSpan(error: unknown, span: SourceSpan | undefined): unknown {
  if (span === undefined || !isPlaceable(error)) return error
  if (error instanceof BuildError && error.span !== undefined) return error
  const { code, message, detail, hint } = error
  return new BuildError(code, message, {
    span,
    cause: error instanceof BuildError ? error.cause : error,
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
    ...(error instanceof BuildError && error.exitCode !== undefined && { exitCode: error.exitCode }),
  })
}

function isPlaceable(error: unknown): error is BuildError | OciError | RemoteError | StoreError {
  return [BuildError, OciError, RemoteError, StoreError].some(kind => error instanceof kind)
}
