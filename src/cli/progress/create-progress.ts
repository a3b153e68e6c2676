import { randomUUID } from 'node:crypto'
import type { ProgressEvent } from '../../builder/solve/progress.ts'
import { createWorkflowLog } from '../ci/workflow-log.ts'
import type { Terminal } from '../terminal.ts'
import { createGroupedProgress } from './grouped.ts'
import { githubGroups, gitlabGroups } from './log-groups.ts'
import { createPlainProgress } from './plain.ts'
import { createRawJsonProgress } from './raw-json.ts'
import type { ProgressRenderer } from './renderer.ts'
import { createTtyProgress } from './tty.ts'

export const PROGRESS_MODES = [
  'auto',
  'plain',
  'tty',
  'rawjson',
  'none',
  'quiet',
  'github',
  'gitlab',
] as const

export type ProgressMode = (typeof PROGRESS_MODES)[number]

/**
 * `auto` folds steps in the logs of GitHub and GitLab, draws on a terminal and writes plain lines elsewhere; `none` shows no steps, and `quiet` the image ID alone.
 */
export function createProgress(mode: ProgressMode, terminal: Terminal): ProgressRenderer {
  const renderer = createRenderer(mode, terminal)
  let isFinished = false
  return {
    sink: event => (isFinished && event.kind !== 'warning' ? undefined : renderer.sink(event)),
    finish() {
      if (!isFinished) renderer.finish()
      isFinished = true
    },
  }
}

function createRenderer(mode: ProgressMode, terminal: Terminal): ProgressRenderer {
  switch (mode) {
    case 'none':
    case 'quiet':
      return { sink: ignore, finish: () => ignore() }
    case 'rawjson':
      return createRawJsonProgress(terminal)
    case 'plain':
      return createPlainProgress(terminal)
    case 'tty':
      return createTtyProgress(terminal)
    case 'github': {
      const log = terminal.workflow ?? createWorkflowLog(terminal.stderr, randomUUID())
      const warn = (text: string): void => log.command('warning', text)
      return createGroupedProgress({ stderr: log.stream, groups: githubGroups(log), warn })
    }
    case 'gitlab': {
      const { stderr } = terminal
      const warn = (text: string): void => void stderr.write(`warning: ${text}\n`)
      return createGroupedProgress({ stderr, groups: gitlabGroups(terminal), warn })
    }
    case 'auto':
      return createRenderer(bestMode(terminal), terminal)
  }
}

function bestMode({ workflow, stderr, env }: Terminal): Exclude<ProgressMode, 'auto'> {
  if (workflow !== undefined) return 'github'
  if (env.GITLAB_CI === 'true') return 'gitlab'
  return stderr.isTTY === true && env.TERM !== 'dumb' ? 'tty' : 'plain'
}

function ignore(_event?: ProgressEvent): void {
  return
}
