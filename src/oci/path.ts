/** Parts of clean paths: relative, without `.`, `..` and empty names; the root is ''. */
import type { ByteString } from './byte-string.ts'

/** Either may be the root. */
export function joinPath(parent: ByteString, name: string): ByteString {
  return (parent === '' ? name : name === '' ? parent : `${parent}/${name}`) as ByteString
}

/** The root's parent is the root. */
export function parentPath(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0)) as ByteString
}

/** The last name; of the root ''. */
export function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString
}
