import { type ByteString, displayText } from '../../oci/byte-string.ts'
import { isErrno } from '../../oci/errors.ts'
import { BuildError } from '../errors.ts'

/** What the file system says of a part of the build context, as BuildError `context-invalid` where it has words for it. */
export function unreadable(what: string, error: unknown): unknown {
  if (isErrno(error, 'ENOENT'))
    return new BuildError('context-invalid', `Cannot read build context ${what}: no such file or directory`)
  if (isErrno(error, 'ENOTDIR'))
    return new BuildError('context-invalid', `Cannot read build context ${what}: not a directory`)
  if (isErrno(error, 'EACCES', 'EPERM'))
    return new BuildError('context-invalid', `Cannot read ${what} of the build context: permission denied`, {
      hint: 'if the image does not need it, list it in .dockerignore',
    })
  return error
}

/** A path of any bytes, as error messages show it. */
export function quotedPath(path: ByteString): string {
  return JSON.stringify(displayText(path))
}
