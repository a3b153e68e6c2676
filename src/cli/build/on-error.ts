/** `--on-error=shell`: a look at what a failed step has left. */
import type { OnFailure, StepFailure } from '../../builder/solve/failure.ts'
import { CodedError } from '../../oci/errors.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import type { ProgressRenderer } from '../progress/renderer.ts'
import { formatError } from '../report.ts'
import type { Terminal } from '../terminal.ts'
import { printable, printableLine } from '../text/printable.ts'

export const ON_ERROR_OPTIONS: OptionSpecs = {
  'on-error': { value: 'shell', help: 'Open a shell where a step has failed, with its files and mounts' },
}

/** False where nothing was asked for. */
export function readOnError(
  args: Arguments,
  terminal: Pick<Terminal, 'stdin' | 'stdout'>,
  refuse: Refuse,
): boolean {
  const value = args.value('on-error')
  if (value === undefined) return false
  if (value !== 'shell') throw refuse(`--on-error is shell, not ${JSON.stringify(value)}`)
  const { stdin, stdout } = terminal
  if (stdin.isTTY === true && stdout.isTTY === true) return true
  throw refuse('--on-error=shell needs a terminal: standard input and output are to be one')
}

/** Ends the progress, and lets the user into the failed step until the shell ends. Nothing of it is kept. */
export function createShellOnFailure(terminal: Terminal, progress: ProgressRenderer): OnFailure {
  const { stdin, stderr, env, signal } = terminal
  return async failure => {
    progress.finish()
    stderr.write(describe(failure))
    // Remembers how the terminal was: a runtime that is killed leaves it raw.
    stdin.setRawMode?.(true)
    try {
      await failure.enter([`TERM=${env.TERM ?? 'linux'}`], signal)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      stdin.setRawMode?.(false)
      stderr.write(formatError(error))
    } finally {
      stdin.setRawMode?.(false)
    }
  }
}

function describe({ name, error, shell }: StepFailure): string {
  const why = error instanceof Error ? `${printableLine(error.message)}\n` : ''
  const ran = shell.command === undefined ? '' : `It ran:\n${indented(shell.command)}\n`
  return `${printableLine(name)} has failed.\n${why}${ran}This shell is where it was; the build ends with it.\n`
}

function indented(text: string): string {
  return printable(text).trimEnd().replaceAll(/^/gm, '  ')
}
