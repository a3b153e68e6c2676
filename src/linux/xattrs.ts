import { isLinuxError } from './errors.ts'
import type { Path } from './libc.ts'
import type { Linux } from './linux.ts'

/**
 * All extended attributes of a file, sorted by name, values binary. Empty where the file system has none. An
 * attribute that goes away while it is read is left out, and so are in a user namespace capabilities that are another's.
 */
export function readXattrs(linux: Linux, path: Path): ReadonlyMap<string, Buffer> {
  const xattrs = new Map<string, Buffer>()
  for (const name of listXattrs(linux, path)) {
    try {
      xattrs.set(name, linux.lgetxattr(path, name))
    } catch (error) {
      if (!isLinuxError(error, 'ENODATA', 'EOVERFLOW')) throw error
    }
  }
  return xattrs
}

function listXattrs(linux: Linux, path: Path): readonly string[] {
  try {
    return linux.llistxattr(path)
  } catch (error) {
    if (isLinuxError(error, 'ENOTSUP', 'ENOSYS')) return []
    throw error
  }
}
