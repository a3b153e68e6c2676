import { CodedError } from '../oci/errors.ts'

export type CliErrorCode =
  | 'usage'
  | 'config-invalid-file'
  | 'config-unreadable'
  | 'file-unreadable'
  | 'image-unknown'
  | 'name-needs-host'
  /** Rules of the store have refused some of it; the rest is there. */
  | 'load-incomplete'
  /** Whoever read our standard output has gone: nobody is left to tell. */
  | 'output-closed'
  | 'user-missing'
  | 'token-exists'
  | 'token-missing'
  /** No step of any build can run on this machine. */
  | 'run-impossible'
  | 'interrupted'
  | 'terminated'
  /** The terminal was closed. */
  | 'hung-up'

/** What the user asked for cannot be understood or found. */
export class CliError extends CodedError<CliErrorCode> {}
