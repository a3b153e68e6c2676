import { statfs } from 'node:fs/promises'
import { posix } from 'node:path'
import { ownIDMaps } from '../../linux/id-map.ts'
import { BuildError } from '../errors.ts'
import { exceededLimit } from '../exec/exceeded.ts'
import type { Outcome } from '../exec/executor.ts'
import { describeExit, exitHint } from '../exec/exit-code.ts'
import type { StepLimits } from '../exec/limits.ts'
import { privilegeHint } from '../exec/unprivileged.ts'
import type { RunDefinition } from '../plan/op-definition.ts'

/** What is known of a step when its process has ended in failure. */
export interface FailedRun {
  readonly definition: RunDefinition
  readonly outcome: Outcome
  readonly limits: StepLimits
  /** Processes that the kernel ended meanwhile for want of memory, on the whole machine. */
  readonly outOfMemoryKills: number
  /** The last lines that it printed. */
  readonly output: readonly string[]
  /** Path of the file with all that it printed. */
  readonly log: string | undefined
  /** What it wrote. */
  readonly directory: string
}

/** The error that says what failed, which limit it ran into, and what to look for. */
export async function runFailed(run: FailedRun): Promise<BuildError> {
  const { definition, limits, output, log, directory } = run
  const { exitCode, usage } = run.outcome
  const exceeded = exceededLimit(exitCode, limits, usage, output)
  const isOutOfMemory = (usage?.outOfMemoryKills ?? run.outOfMemoryKills) > 0
  const hint = (await isFull(directory))
    ? 'there is no space left on the disk of the store'
    : exceeded === undefined && (privilegeHint(output, ownIDMaps()) ?? exitHint(exitCode, isOutOfMemory))
  const reason = exceeded === undefined ? '' : `${exceeded}: `
  const message = `Cannot run ${commandOf(definition)}: ${reason}${describeExit(exitCode)}`
  return new BuildError('run-failed', message, {
    exitCode,
    detail: { exitCode, output, ...(log !== undefined && { log }) },
    ...(typeof hint === 'string' && { hint }),
  })
}

export function ranTooLong(definition: RunDefinition, timeoutMs: number): BuildError {
  return new BuildError(
    'run-failed',
    `Cannot run ${commandOf(definition)}: it took longer than the ${timeoutMs / 1000} s that --timeout allows`,
  )
}

/** A heredoc that is run as a program, by what the Dockerfile says: its path in the container says nothing to anyone. */
export function scriptTitle({ mounts }: Pick<RunDefinition, 'mounts'>): string | undefined {
  const script = mounts.find(mount => mount.kind === 'script')
  if (script === undefined) return undefined
  const [summary = ''] = script.content.split('\n')
  return `RUN <<${posix.basename(script.target)} (${summary.trimEnd()}...)`
}

function commandOf(definition: RunDefinition): string {
  return JSON.stringify(scriptTitle(definition) ?? definition.args.join(' '))
}

const LITTLE_SPACE = 1024 * 1024

/** Programs seldom tell it clearly. */
async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize < LITTLE_SPACE
}
