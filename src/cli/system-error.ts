import { isErrno } from '../oci/errors.ts'
import { CliError } from './errors.ts'

const PROBLEMS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file or directory'],
  ['ENOTDIR', 'a part of the path is not a directory'],
  ['EISDIR', 'it is a directory'],
  ['EEXIST', 'it exists already'],
  ['ENOTEMPTY', 'it is a directory that is not empty'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'not permitted'],
  ['EROFS', 'the file system is read-only'],
  ['ENOSPC', 'no space is left'],
  ['EDQUOT', 'the disk quota is used up'],
  ['ENAMETOOLONG', 'the name is too long'],
  ['ELOOP', 'its symbolic links lead in a circle'],
  ['EMFILE', 'too many files are open'],
])

/** An error of a system call: it carries an errno, and not one that only a mistake of ours can cause. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    'errno' in error &&
    'syscall' in error &&
    !isErrno(error, 'EINVAL', 'EBADF', 'EFAULT')
  )
}

/** `Cannot open /etc/shadow: permission denied`; what we have no words for as the system says it. */
export function describeSystemError({ code, syscall, path, message }: NodeJS.ErrnoException): string {
  const problem = PROBLEMS.get(code ?? '')
  return problem === undefined || path === undefined ? message : `Cannot ${syscall} ${path}: ${problem}`
}

/** Why a file that a person named cannot be read, with its name, which not every error of the system has. */
export function unreadable(error: unknown, path: string): unknown {
  const problem = isSystemError(error) ? PROBLEMS.get(error.code ?? '') : undefined
  if (problem === undefined) return error
  return new CliError('file-unreadable', `Cannot read ${path}: ${problem}`, { cause: error })
}
