/** BuildKit's lint rules about instructions of a stage that is looked at. */
import { byteStringOf } from '../../oci/byte-string.ts'
import type { IgnoreRules } from '../context/ignore.ts'
import type {
  AddInstruction,
  Command,
  CopyInstruction,
  Instruction,
  Stage,
  Warning,
} from '../dockerfile/instructions.ts'
import { isSecretName } from '../dockerfile/secret-name.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { StageDraft } from './stage-draft.ts'

/** Findings that need no draft. */
export function lintStage({ instructions }: Pick<Stage, 'instructions'>): readonly Warning[] {
  return repeated(instructions)
}

/** What ARG and ENV hold is in the image's history and config. @param names of ENV, expanded */
export function lintSecrets(
  kind: 'arg' | 'env',
  names: readonly string[],
  span: SourceSpan,
): readonly Warning[] {
  return names.filter(isSecretName).map(name => secretWarning(kind, name, span))
}

/** The shell form hides signals from the program, unless SHELL tells that a shell is meant. */
export function lintCommand(
  draft: StageDraft,
  keyword: 'CMD' | 'ENTRYPOINT',
  command: Command,
  span: SourceSpan,
): readonly Warning[] {
  const { Shell = [] } = draft.image.config.config
  if (command.form === 'exec' || Shell.length > 0) return []
  const message = `${keyword} runs in a shell, which keeps signals from the program: the JSON form does not`
  return [{ rule: 'JSONArgsRecommended', message, span }]
}

/** Names as they are written, against the patterns: `./a` is not `a`. */
export function lintSources(
  names: readonly string[],
  { kind, span }: CopyInstruction | AddInstruction,
  ignored: IgnoreRules,
): readonly Warning[] {
  const message = (name: string) =>
    `${kind.toUpperCase()} ${name}: an ignore file leaves it out of the build context`
  return names
    .filter(name => ignored.isIgnored(byteStringOf(name)))
    .map(name => ({ rule: 'CopyIgnoredFile', message: message(name), span }))
}

const ONCE: readonly Instruction['kind'][] = ['cmd', 'entrypoint', 'healthcheck']

/** The last one counts: each before it is in vain. */
function repeated(instructions: readonly Instruction[]): readonly Warning[] {
  return ONCE.flatMap(kind => {
    const name = kind.toUpperCase()
    const inVain = instructions.filter(instruction => instruction.kind === kind).slice(0, -1)
    const message = `This ${name} is in vain: a later one of the stage replaces it`
    return inVain.map(({ span }) => ({ rule: 'MultipleInstructionsDisallowed', message, span }))
  })
}

function secretWarning(kind: 'arg' | 'env', name: string, span: SourceSpan): Warning {
  const message = `${kind.toUpperCase()} ${name} looks like a secret, and everyone who has the image can read it: RUN --mount=type=secret hides one`
  return { rule: 'SecretsUsedInArgOrEnv', message, span }
}
