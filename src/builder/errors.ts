import { CodedError, type ErrorDetails } from '../oci/errors.ts'
import type { SourceSpan } from './dockerfile/source.ts'

export type BuildErrorCode =
  | 'dockerfile-missing'
  | 'dockerfile-invalid'
  | 'context-invalid'
  | 'source-missing'
  | 'copy-conflict'
  | 'image-missing'
  | 'image-unavailable'
  | 'platform-missing'
  | 'run-failed'
  | 'runtime-missing'
  | 'privilege-missing'
  | 'user-unknown'
  | 'archive-invalid'
  | 'export-failed'
  | 'target-unknown'
  | 'option-invalid'

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

/** The error with its place, where it is one of ours that has none yet. */
export function withSpan(error: unknown, span: SourceSpan | undefined): unknown {
  if (!(error instanceof BuildError) || error.span !== undefined || span === undefined) return error
  const { code, message, cause, detail, hint, exitCode } = error
  return new BuildError(code, message, {
    span,
    ...(cause !== undefined && { cause }),
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
    ...(exitCode !== undefined && { exitCode }),
  })
}
