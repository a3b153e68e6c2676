/** Whiteouts (image-spec `layer.md#whiteouts`): entries whose name says that something below is gone. */
import type { ByteString } from '../byte-string.ts'
import { baseName, joinPath, parentPath } from '../path.ts'
import type { TarEntry } from '../tar/entry.ts'

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

/** The entry that removes this path. */
export function whiteoutEntry(path: ByteString): TarEntry {
  return emptyFile(joinPath(parentPath(path), `${PREFIX}${baseName(path)}`))
}

/** The entry that hides what lower layers have in this directory. */
export function opaqueWhiteoutEntry(directory: ByteString): TarEntry {
  return emptyFile(joinPath(directory, OPAQUE_NAME))
}

/** True for a name that a layer cannot hold, because it means a whiteout. */
export function isReservedName(name: ByteString): boolean {
  return name.startsWith(PREFIX)
}

function emptyFile(path: ByteString): TarEntry {
  return { type: 'file', path, mode: 0, uid: 0, gid: 0, size: 0, mtime: 0 }
}
