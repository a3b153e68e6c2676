import type { SourceSpan } from '../builder/dockerfile/source.ts'
import { BuildError } from '../builder/errors.ts'
import { CodedError } from '../oci/errors.ts'
import { failedRunOf } from './build/failed-run.ts'
import { annotateError } from './ci/annotations.ts'
import { CliError } from './errors.ts'
import { exitCodeOf } from './exit-codes.ts'
import { fitText } from './progress/text-width.ts'
import { describeSystemError, isSystemError } from './system-error.ts'
import type { Terminal } from './terminal.ts'
import { printable, printableLine } from './text/printable.ts'

/** What a frame shows at most of an instruction that is long, or made to be. */
const FRAME_LINES = 20
const FRAME_COLUMNS = 400

export type ReportTerminal = Pick<Terminal, 'stderr' | 'env' | 'workflow' | 'workingDirectory'>

/** Tells a person what went wrong, where, and what to do; returns the exit code. Never a stack trace, unless asked. */
export function reportError(error: unknown, terminal: ReportTerminal): number {
  const isForNobody = error instanceof CliError && error.code === 'output-closed'
  if (!isForNobody) terminal.stderr.write(formatError(error))
  annotateError(error, terminal)
  if (terminal.env.SLIPWAY_DEBUG === '1' && error instanceof Error)
    terminal.stderr.write(`${stackOf(error)}\n`)
  return exitCodeOf(error)
}

export function formatError(error: unknown): string {
  if (error instanceof CodedError) {
    const frame =
      error instanceof BuildError && error.span !== undefined ? `${formatFrame(error.span)}\n` : ''
    const hint = error.hint === undefined ? '' : `hint: ${printableLine(error.hint)}\n`
    const log = failedRunOf(error)?.log
    const logLine = log === undefined ? '' : `log: ${printableLine(log)}\n`
    return `${frame}error: ${indented(error.message)}\n${logLine}${hint}`
  }
  // What the system refuses (a file that may not be read, a full disk) is no bug: its message names call and path.
  if (isSystemError(error)) return `error: ${indented(describeSystemError(error))}\n`
  const message = error instanceof Error ? error.message : String(error)
  return `error: ${indented(message)}\nThis is a bug in slipway. Run again with SLIPWAY_DEBUG=1 to see where, and report it.\n`
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
  const lines = source.text.replace(/\r?\n$/, '').split(/\r?\n/)
  const first = Math.max(1, startLine - 1)
  const last = Math.min(lines.length, endLine + 1, first + FRAME_LINES - 1)
  const width = String(last).length
  const rows = lines.slice(first - 1, last).map((text, index) => {
    const number = first + index
    const mark = number >= startLine && number <= endLine ? '>' : ' '
    return `${mark} ${String(number).padStart(width)} | ${fitText(printableLine(text), FRAME_COLUMNS)}`.trimEnd()
  })
  return `${printableLine(source.name)}:${startLine}\n${rows.join('\n')}`
}

/** Further lines of a message are set in, so that no foreign text in it passes for a message of its own. */
function indented(message: string): string {
  return printable(message).trimEnd().replaceAll('\n', '\n  ')
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
