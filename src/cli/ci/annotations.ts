/** Errors and warnings of a Dockerfile as GitHub shows them: beside the lines that they are about. */
import { isAbsolute, relative, resolve } from 'node:path'
import type { BuildWarning } from '../../builder/build-options.ts'
import type { SourceSpan } from '../../builder/dockerfile/source.ts'
import { BuildError } from '../../builder/errors.ts'
import type { Terminal } from '../terminal.ts'
import { printableLine } from '../text/printable.ts'

type JobTerminal = Pick<Terminal, 'workflow' | 'env' | 'workingDirectory'>

/** Nothing for an error without a place, nor elsewhere than in a job. */
export function annotateError(error: unknown, terminal: JobTerminal): void {
  if (!(error instanceof BuildError) || error.span === undefined) return
  terminal.workflow?.command('error', printableLine(error.message), {
    ...placeOf(error.span, terminal),
    title: 'slipway build',
  })
}

export function annotateWarnings(warnings: readonly BuildWarning[], terminal: JobTerminal): void {
  for (const { text, span, rule } of warnings) {
    terminal.workflow?.command('warning', printableLine(text), {
      ...(span && placeOf(span, terminal)),
      title: rule,
    })
  }
}

/** GitHub knows files by their path in the repository. What was read from elsewhere is none. */
function placeOf(
  { source, startLine, endLine }: SourceSpan,
  { env, workingDirectory }: JobTerminal,
): Readonly<Record<string, string | number>> {
  if (source.name === '-' || /^[a-z+]+:\/\//i.test(source.name)) return {}
  const path = relative(env.GITHUB_WORKSPACE || workingDirectory, resolve(workingDirectory, source.name))
  if (path.startsWith('..') || isAbsolute(path)) return {}
  return { file: printableLine(path), line: startLine, endLine }
}
