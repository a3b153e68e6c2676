import { stripVTControlCharacters } from 'node:util'
import { BuildError } from '../../builder/errors.ts'
import { printable } from '../text/printable.ts'

/** What a RUN that failed has left to read. */
export interface FailedRun {
  /** The last lines that it printed, safe to show. */
  readonly output: readonly string[]
  /** The file with all of them. */
  readonly log?: string
}

/** Undefined for any other error. */
export function failedRunOf(error: unknown): FailedRun | undefined {
  if (!(error instanceof BuildError) || error.code !== 'run-failed') return undefined
  const { detail } = error
  if (typeof detail !== 'object' || detail === null) return undefined
  const output = 'output' in detail && Array.isArray(detail.output) ? detail.output : []
  return {
    output: output.map(line => printable(stripVTControlCharacters(String(line)))),
    ...('log' in detail && typeof detail.log === 'string' && { log: detail.log }),
  }
}
