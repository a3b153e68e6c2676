import type { SourceSpan } from '../builder/dockerfile/source.ts'
import { BuildError } from '../builder/errors.ts'
import { CodedError, isErrno } from '../oci/errors.ts'
import { exitCodeOf } from './exit-codes.ts'
import { printable } from './printable.ts'
import type { Terminal } from './terminal.ts'

/** Tells a person what went wrong, where, and what to do; returns the exit code. Never a stack trace, unless asked. */
export function reportError(error: unknown, terminal: Pick<Terminal, 'stderr' | 'env'>): number {
  terminal.stderr.write(formatError(error))
  if (terminal.env.SLIPWAY_DEBUG === '1' && error instanceof Error)
    terminal.stderr.write(`${stackOf(error)}\n`)
  return exitCodeOf(error)
}

export function formatError(error: unknown): string {
  if (error instanceof CodedError) {
    const frame =
      error instanceof BuildError && error.span !== undefined ? `${formatFrame(error.span)}\n` : ''
    const hint = error.hint === undefined ? '' : `hint: ${printable(error.hint)}\n`
    return `${frame}error: ${printable(error.message)}\n${hint}`
  }
  // What the system refuses (a file that may not be read, a full disk) is no bug: its message names call and path.
  if (isSystemError(error)) return `error: ${printable(error.message)}\n`
  const message = error instanceof Error ? error.message : String(error)
  return `error: ${printable(message)}\nThis is a bug in slipway. Run again with SLIPWAY_DEBUG=1 to see where, and report it.\n`
}

/**
 * The lines around a place:
 * ```
 * Dockerfile:3
 *   2 | ENV a=b
 * > 3 | RUN false
 *   4 | CMD x
 * ```
 */
export function formatFrame({ source, startLine, endLine }: SourceSpan): string {
  const lines = source.text.split(/\r?\n/)
  const first = Math.max(1, startLine - 1)
  const last = Math.min(lines.length, endLine + 1, first + 20)
  const width = String(last).length
  const rows = lines.slice(first - 1, last).map((text, index) => {
    const number = first + index
    const mark = number >= startLine && number <= endLine ? '>' : ' '
    return `${mark} ${String(number).padStart(width)} | ${printable(text)}`.trimEnd()
  })
  return `${printable(source.name)}:${startLine}\n${rows.join('\n')}`
}

/** An error of a system call: it carries an errno. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    'errno' in error &&
    'syscall' in error &&
    !isErrno(error, 'EINVAL', 'EBADF', 'EFAULT')
  )
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
