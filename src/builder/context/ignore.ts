import type { ByteString } from '../../oci/byte-string.ts'

/** The rules of a .dockerignore file. */
export interface IgnoreRules {
  /** True when the last pattern that matches the path or one of its parents excludes. */
  isIgnored(path: ByteString): boolean
  /** For an ignored directory: true when a `!` pattern can bring back something below it. */
  mayIncludeBelow(path: ByteString): boolean
}

/** @throws BuildError `context-invalid` for a malformed pattern, with its line */
export function parseIgnoreFile(_text: string, _name: string): IgnoreRules {
  throw new Error('not yet')
}
