import { CodedError } from '../oci/errors.ts'

export type CliErrorCode =
  | 'usage'
  | 'config-invalid-file'
  | 'config-missing'
  | 'file-missing'
  | 'file-denied'
  | 'image-unknown'
  | 'name-needs-host'
  | 'interrupted'

/** What the user asked for cannot be understood or found. */
export class CliError extends CodedError<CliErrorCode> {}
