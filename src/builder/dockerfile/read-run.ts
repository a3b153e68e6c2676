import { readFlags } from './flags.ts'
import { type Heredoc, heredocText, parseHeredocOpening } from './heredoc.ts'
import type { Command, RunForm, RunInstruction } from './instructions.ts'
import { didYouMean, invalid } from './invalid.ts'
import { parseJsonForm } from './json-form.ts'
import { checkMountText } from './run-mount.ts'
import type { SourceSpan } from './source.ts'
import { trim } from './space.ts'
import { suggest } from './suggest.ts'
import type { SyntaxNode } from './syntax.ts'

const RUN_FLAGS = { mount: 'texts', network: 'word', security: 'word', device: 'texts' } as const
const NETWORKS = ['default', 'none', 'host'] as const
const SECURITIES = ['sandbox', 'insecure'] as const

export function readRun(node: SyntaxNode): RunInstruction {
  const { span, original } = node
  const flags = readFlags(node.flags, RUN_FLAGS, 'RUN', span)
  const network = oneOf(flags.network, NETWORKS, '--network', span)
  const security = oneOf(flags.security, SECURITIES, '--security', span)
  for (const mount of flags.mount) checkMountText(mount, span)
  const command = runForm(node)
  return {
    kind: 'run',
    command,
    title: titleOf(node),
    mounts: flags.mount,
    ...(network !== undefined && { network }),
    ...(security !== undefined && { security }),
    devices: flags.device,
    span,
    original,
  }
}

/** The command of RUN, CMD, ENTRYPOINT: exec form if it is a JSON array, else shell form. */
export function readCommand(text: string, span: SourceSpan): Command {
  const args = parseJsonForm(text, span)
  return args === undefined ? { form: 'shell', script: text } : { form: 'exec', args }
}

/**
 * A heredoc that stands alone is the script itself; beside a command it goes to the shell, which knows heredocs
 * (semantics 13).
 */
function runForm(node: SyntaxNode): RunForm {
  const [first] = node.heredocs
  if (first !== undefined) {
    if (parseHeredocOpening(node.rest) === undefined) return { form: 'shell', script: withHeredocs(node) }
    if (!first.content.startsWith('#!')) return { form: 'shell', script: heredocText(first) }
    return { form: 'file', name: checkFileName(first, node.span), content: heredocText(first) }
  }
  const command = readCommand(node.rest, node.span)
  if (command.form === 'exec' && command.args.length === 0)
    throw invalid('Cannot read RUN: the list of arguments is empty', node.span)
  return command
}

function withHeredocs(node: SyntaxNode): string {
  return [node.rest, ...node.heredocs.map(heredoc => heredoc.content + heredoc.name)].join('\n')
}

/** A heredoc's delimiter as the name of a program. @throws BuildError for one that would lie elsewhere */
function checkFileName(heredoc: Heredoc, span: SourceSpan): string {
  if (!/[/\0]/.test(heredoc.name) && heredoc.name !== '.' && heredoc.name !== '..') return heredoc.name
  throw invalid(
    `Cannot write the heredoc ${JSON.stringify(heredoc.name)}: that is not a name for a file`,
    span,
  )
}

function titleOf(node: SyntaxNode): string {
  const line = trim(node.original)
  const [first] = node.heredocs
  if (first === undefined) return line
  const [summary = '', ...more] = trim(first.content).split('\n')
  return `${line} (${summary.trimEnd()}${more.length > 0 ? '...' : ''})`
}

/** @throws BuildError for another word than these */
function oneOf<const Word extends string>(
  value: string | undefined,
  words: readonly Word[],
  what: string,
  span: SourceSpan,
): Word | undefined {
  if (value === undefined) return undefined
  const found = words.find(word => word === value)
  if (found !== undefined) return found
  throw invalid(
    `Cannot read ${what}: ${JSON.stringify(value)} is none of ${words.join(', ')}`,
    span,
    didYouMean(suggest(value, words)),
  )
}
