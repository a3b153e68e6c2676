/** Whiteouts (image-spec `layer.md#whiteouts`): entries whose name says that something below is gone. */
import type { ByteString } from '../byte-string.ts'

const PREFIX = '.wh.'
/** Names of AUFS's own bookkeeping, among them the one that the image-spec took over. */
const AUFS_PREFIX = '.wh..wh.'
const OPAQUE_NAME = '.wh..wh..opq'

/** What the path of an entry means. The paths are clean, as the path given must be. */
export type WhiteoutMeaning =
  | { readonly kind: 'none' }
  /** AUFS's bookkeeping: no file. */
  | { readonly kind: 'ignored' }
  /** `path` is gone. */
  | { readonly kind: 'whiteout'; readonly path: ByteString }
  /** What the layers below have in the directory `path` is gone. */
  | { readonly kind: 'opaque'; readonly path: ByteString }
  /** A name that starts like a whiteout and cannot be one. */
  | { readonly kind: 'invalid' }

const NONE = { kind: 'none' } as const
const IGNORED = { kind: 'ignored' } as const
const INVALID = { kind: 'invalid' } as const

export function whiteoutMeaning(path: ByteString): WhiteoutMeaning {
  if (!path.includes(PREFIX)) return NONE
  const parts = path.split('/')
  const name = parts.pop() ?? ''
  const parent = parts.join('/') as ByteString
  if (parts.some(part => part.startsWith(AUFS_PREFIX))) return IGNORED
  if (parts.some(part => part.startsWith(PREFIX))) return INVALID
  if (name === OPAQUE_NAME) return { kind: 'opaque', path: parent }
  if (name.startsWith(AUFS_PREFIX)) return IGNORED
  if (!name.startsWith(PREFIX)) return NONE
  const hidden = name.slice(PREFIX.length)
  // Unpackers that joined such a name to its directory have deleted the directory itself, or its parent.
  if (hidden === '' || hidden === '.' || hidden === '..') return INVALID
  return { kind: 'whiteout', path: joinPath(parent, hidden) }
}

/** The path of the entry that removes this path. */
export function whiteoutPath(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/')
  return joinPath(path.slice(0, Math.max(slash, 0)), `${PREFIX}${path.slice(slash + 1)}`)
}

/** The path of the entry that hides what lower layers have in this directory. */
export function opaqueWhiteoutPath(directory: ByteString): ByteString {
  return joinPath(directory, OPAQUE_NAME)
}

/** True for a name that a layer cannot hold, because it means a whiteout. */
export function isReservedName(name: ByteString): boolean {
  return name.startsWith(PREFIX)
}

function joinPath(parent: string, name: string): ByteString {
  return (parent === '' ? name : `${parent}/${name}`) as ByteString
}
