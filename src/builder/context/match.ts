import type { ByteString } from '../../oci/byte-string.ts'
import { BuildError } from '../errors.ts'
import { compilePattern } from './pattern.ts'

/** True for a path of COPY in which something is to be matched. A `\` takes the meaning from what follows it. */
export function hasWildcard(path: string): boolean {
  for (let at = 0; at < path.length; at++) {
    if (path[at] === '\\') at++
    else if ('*?['.includes(path.charAt(at))) return true
  }
  return false
}

/**
 * Go's `filepath.Match` for one name: no `/` on either side.
 * @throws BuildError `dockerfile-invalid` for a malformed pattern
 */
export function compileNameMatch(pattern: ByteString): (name: ByteString) => boolean {
  const compiled = compilePattern(pattern, 'segment')
  if (compiled === undefined)
    throw new BuildError(
      'dockerfile-invalid',
      `Cannot match ${JSON.stringify(pattern)}: the pattern is malformed`,
    )
  return name => compiled.test(name)
}
