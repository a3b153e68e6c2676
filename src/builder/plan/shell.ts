import type { RunInstruction } from '../dockerfile/instructions.ts'
import type { NetworkMode } from '../exec/executor.ts'
import type { ShellDefinition } from '../solve/vertex.ts'
import { scriptPath } from './run-mounts.ts'
import { type StageDraft, workingDirectory } from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'

/** The shell in which a person looks at a step of this stage that failed. */
export function shellOf(
  draft: StageDraft,
  { hostname, extraHosts, network }: StageScope,
  ownNetwork: NetworkMode = network,
): ShellDefinition {
  return {
    program: draft.image.config.config.Shell?.[0] ?? '/bin/sh',
    env: [...draft.env].map(([name, value]) => `${name}=${value}`),
    cwd: workingDirectory(draft),
    hostname,
    network: ownNetwork,
    extraHosts,
  }
}

/** The command of a RUN, as one types it. */
export function commandText(command: RunInstruction['command']): string {
  if (command.form === 'file') return scriptPath(command.name)
  return command.form === 'shell' ? command.script : command.args.map(quoted).join(' ')
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
