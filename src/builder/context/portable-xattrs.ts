import { isErrno } from '../../oci/errors.ts'

/** Extended attributes of a file itself, never of a symlink's target; the path is absolute. */
export type XattrReader = (path: Buffer) => ReadonlyMap<string, Uint8Array>

export const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map()

/** Those that may mean something elsewhere. A file that vanishes has none: that is found out when its content is read. */
export function readPortableXattrs(readXattrs: XattrReader, path: Buffer): ReadonlyMap<string, Uint8Array> {
  return new Map([...readPresent(readXattrs, path)].filter(([name]) => isPortable(name)))
}

function readPresent(readXattrs: XattrReader, path: Buffer): ReadonlyMap<string, Uint8Array> {
  try {
    return readXattrs(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENOTSUP', 'EOPNOTSUPP')) return NO_XATTRS
    throw error
  }
}

/** Labels of this machine's own say nothing elsewhere. */
function isPortable(xattr: string): boolean {
  return xattr !== 'security.selinux' && !xattr.startsWith('com.apple.')
}
