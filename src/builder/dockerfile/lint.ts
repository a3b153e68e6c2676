/** BuildKit's lint rules that the text of a Dockerfile alone decides. Each looks at one thing and knows no other. */
import type { Instruction, Stage, Warning } from './instructions.ts'
import { parseJsonForm } from './json-form.ts'
import { isSecretName } from './secret-name.ts'
import type { SourceSpan } from './source.ts'
import type { SyntaxNode } from './syntax.ts'
import { splitFields } from './words.ts'

/** Findings about the text of instructions, FROM included. */
export function lintNodes(nodes: readonly SyntaxNode[]): readonly Warning[] {
  const casing = majorityCasing(nodes)
  return nodes.flatMap(node => [
    ...keywordCasing(node, casing),
    ...(node.keyword.toLowerCase() === 'from' ? fromCasing(node) : []),
    ...jsonForm(node),
  ])
}

/** Findings about a stage, whether or not it is built. */
export function lintStage({ instructions }: Pick<Stage, 'instructions'>): readonly Warning[] {
  return [...repeated(instructions), ...instructions.flatMap(secrets)]
}

/** Lower case only where most keywords have it. */
function majorityCasing(nodes: readonly SyntaxNode[]): 'uppercase' | 'lowercase' {
  const lower = nodes.filter(({ keyword }) => keyword === keyword.toLowerCase()).length
  const upper = nodes.filter(({ keyword }) => keyword === keyword.toUpperCase()).length
  return lower > upper ? 'lowercase' : 'uppercase'
}

function keywordCasing({ keyword, span }: SyntaxNode, casing: 'uppercase' | 'lowercase'): readonly Warning[] {
  const wanted = casing === 'lowercase' ? keyword.toLowerCase() : keyword.toUpperCase()
  if (keyword === wanted) return []
  const message = `${keyword} stands out: the other keywords are in ${casing}`
  return [{ rule: 'ConsistentInstructionCasing', message, span }]
}

function fromCasing({ keyword, rest, span }: SyntaxNode): readonly Warning[] {
  const [, as, name] = splitFields(rest)
  const found: Warning[] = []
  if (as !== undefined && isUpper(as) !== isUpper(keyword) && isLower(as) !== isLower(keyword))
    found.push({
      rule: 'FromAsCasing',
      message: `${keyword} and ${as} are written in different cases`,
      span,
    })
  if (name !== undefined && name !== name.toLowerCase())
    found.push({
      rule: 'StageNameCasing',
      message: `The stage name ${JSON.stringify(name)} is not in lower case`,
      span,
    })
  return found
}

/** The shell form of what runs the container hides signals from it. */
function jsonForm({ keyword, rest, span }: SyntaxNode): readonly Warning[] {
  const name = keyword.toUpperCase()
  if ((name !== 'CMD' && name !== 'ENTRYPOINT') || parseJsonForm(rest, span) !== undefined) return []
  const message = `${name} runs in a shell, which keeps signals from the program: the JSON form does not`
  return [{ rule: 'JSONArgsRecommended', message, span }]
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

/** What ARG and ENV hold is in the image's history and config. */
function secrets(instruction: Instruction): readonly Warning[] {
  if (instruction.kind !== 'arg' && instruction.kind !== 'env') return []
  const names = (instruction.kind === 'arg' ? instruction.args : instruction.pairs).map(({ key }) => key)
  return names.filter(isSecretName).map(name => secretWarning(instruction.kind, name, instruction.span))
}

function secretWarning(kind: 'arg' | 'env', name: string, span: SourceSpan): Warning {
  const message = `${kind.toUpperCase()} ${name} looks like a secret, and everyone who has the image can read it: RUN --mount=type=secret hides one`
  return { rule: 'SecretsUsedInArgOrEnv', message, span }
}

function isUpper(word: string): boolean {
  return word === word.toUpperCase()
}

function isLower(word: string): boolean {
  return word === word.toLowerCase()
}
