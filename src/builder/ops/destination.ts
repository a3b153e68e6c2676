import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import { pathBelowRoot } from '../tree/walk.ts'

/** A destination word over its working directory. */
export interface Destination {
  readonly path: ByteString
  /** It ends with `/` or `/.`: a directory, whether or not it exists. */
  readonly isDirectory: boolean
}

export function parseDestination(workdir: string, word: string): Destination {
  const isDirectory = word === '' || word === '.' || word.endsWith('/') || word.endsWith('/.')
  const path = word.startsWith('/') ? pathBelowRoot(word) : pathBelowRoot(workdir, word)
  return { path: byteStringOf(path), isDirectory }
}
