import type { WorkflowLog } from '../ci/workflow-log.ts'
import type { Terminal } from '../terminal.ts'

/** Parts of a CI job's log that its web page folds. One is open at a time. */
export interface LogGroups {
  /** @param id letters, digits and `_`: once in a job */
  open(id: string, title: string): void
  close(id: string): void
}

export function githubGroups(log: WorkflowLog): LogGroups {
  return {
    open: (_id, title) => log.command('group', title),
    close: () => log.command('endgroup'),
  }
}

/** Marks that GitLab's runner takes out of the log. Ends carry the id, so those of one build are made unlike another's by time. */
export function gitlabGroups({ stderr, now }: Pick<Terminal, 'stderr' | 'now'>): LogGroups {
  const run = now().toString(36)
  const mark = (kind: 'start' | 'end', id: string, options: string): string =>
    `\x1b[0Ksection_${kind}:${Math.floor(now() / 1000)}:slipway_${run}_${id}${options}\r\x1b[0K`
  return {
    open: (id, title) => void stderr.write(`${mark('start', id, '[collapsed=true]')}${title}\n`),
    close: id => void stderr.write(`${mark('end', id, '')}\n`),
  }
}
