import type { ByteString } from '../../oci/byte-string.ts'
import type { IgnoreRules } from '../context/ignore.ts'
import type { Pattern } from '../context/pattern.ts'

/** Chooses among the paths below a source directory; they are relative to it. */
export interface PathFilter {
  takes(path: ByteString): boolean
  /** For a directory that is not taken: true when something below it may be. */
  mayTakeBelow(directory: ByteString): boolean
}

/** @param rules `include` takes what it matches with all that lies below; without it everything is taken */
export function createPathFilter(rules: {
  readonly include?: Pattern
  readonly exclude?: IgnoreRules
}): PathFilter {
  const { include, exclude } = rules
  const isIncluded = (path: ByteString): boolean =>
    include === undefined || levels(path).some(level => include.test(level))
  return {
    takes: path => isIncluded(path) && !(exclude?.isIgnored(path) ?? false),
    mayTakeBelow(directory) {
      if (exclude?.isIgnored(directory) === true && !exclude.mayIncludeBelow(directory)) return false
      return isIncluded(directory) || include?.mayMatchBelow(directory) === true
    },
  }
}

/** `a`, `a/b`, `a/b/c` */
function levels(path: ByteString): readonly ByteString[] {
  const found: ByteString[] = []
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1))
    found.push(path.slice(0, slash) as ByteString)
  return [...found, path]
}
