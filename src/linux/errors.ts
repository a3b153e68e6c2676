import { constants } from 'node:os'

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => name !== 'EOPNOTSUPP' && name !== 'EWOULDBLOCK')
    .map(([name, number]) => [number, name]),
)

/**
 * A system call that failed. `code` is the name of the errno, as in the errors of `node:fs`, so one test reads both;
 * of names with one number it is `ENOTSUP` and `EAGAIN`.
 */
export class LinuxError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string

  constructor(syscall: string, errno: number, subject: string) {
    const code = NAMES.get(errno) ?? `errno ${errno}`
    super(`Cannot ${syscall} ${JSON.stringify(subject)}: ${code}`)
    this.name = 'LinuxError'
    this.code = code
    this.errno = errno
    this.syscall = syscall
  }
}

/** This system has no such calls: it is no Linux, its C library is another one, or the FFI library is not installed. */
export class LinuxMissingError extends Error {
  constructor(cause: unknown) {
    super(
      `Cannot call Linux: ${cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)}`,
      { cause },
    )
    this.name = 'LinuxMissingError'
  }
}

export function isLinuxError(error: unknown, ...codes: readonly string[]): error is LinuxError {
  return error instanceof LinuxError && codes.includes(error.code)
}
