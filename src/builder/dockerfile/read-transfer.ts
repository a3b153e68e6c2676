import { readFlags } from './flags.ts'
import { heredocText, parseHeredocOpening } from './heredoc.ts'
import type { AddInstruction, CopyInstruction, InlineFile } from './instructions.ts'
import { invalid } from './invalid.ts'
import { parseJsonForm } from './json-form.ts'
import type { SyntaxNode } from './syntax.ts'
import { splitFields } from './words.ts'

const COMMON_FLAGS = { chown: 'text', chmod: 'text', link: 'boolean', exclude: 'texts' } as const
const COPY_FLAGS = { from: 'text', parents: 'boolean', ...COMMON_FLAGS } as const
const ADD_FLAGS = { checksum: 'text', 'keep-git-dir': 'boolean', unpack: 'boolean', ...COMMON_FLAGS } as const

export function readCopy(node: SyntaxNode): CopyInstruction {
  const { span, original } = node
  const paths = readPaths(node, 'COPY')
  const { from, parents, ...common } = readFlags(node.flags, COPY_FLAGS, 'COPY', span)
  if (from?.includes('$'))
    throw invalid(
      `Cannot copy from ${JSON.stringify(from)}: variables do not expand in --from`,
      span,
      'write "FROM <image with variables> AS <name>" and copy from that name',
    )
  return {
    kind: 'copy',
    ...paths,
    ...commonFlags(common),
    ...(from !== undefined && { from }),
    parents: parents ?? false,
    span,
    original,
  }
}

export function readAdd(node: SyntaxNode): AddInstruction {
  const { span, original } = node
  const paths = readPaths(node, 'ADD')
  const { checksum, unpack, ...rest } = readFlags(node.flags, ADD_FLAGS, 'ADD', span)
  return {
    kind: 'add',
    ...paths,
    ...commonFlags(rest),
    ...(checksum !== undefined && { checksum }),
    ...(rest['keep-git-dir'] !== undefined && { keepGitDir: rest['keep-git-dir'] }),
    ...(unpack !== undefined && { unpack }),
    span,
    original,
  }
}

interface CommonFlags {
  readonly chown: string | undefined
  readonly chmod: string | undefined
  readonly link: boolean | undefined
  readonly exclude: readonly string[]
}

function commonFlags({ chown, chmod, link, exclude }: CommonFlags) {
  return {
    ...(chown !== undefined && { chown }),
    ...(chmod !== undefined && { chmod }),
    link: link ?? false,
    exclude,
  }
}

function readPaths(
  node: SyntaxNode,
  instruction: string,
): Pick<CopyInstruction, 'sources' | 'files' | 'destination'> {
  const words = parseJsonForm(node.rest, node.span) ?? splitFields(node.rest)
  const destination = words.at(-1)
  if (destination === undefined || words.length < 2)
    throw invalid(
      `Cannot read ${instruction}: it needs a source and a destination, got ${words.length === 0 ? 'neither' : 'one argument'}`,
      node.span,
    )
  const sources: string[] = []
  const files: InlineFile[] = []
  for (const source of words.slice(0, -1)) {
    const file = inlineFile(source, node)
    if (file === undefined) sources.push(source)
    else files.push(file)
  }
  if (inlineFile(destination, node) !== undefined)
    throw invalid(`Cannot read ${instruction}: a heredoc cannot be the destination`, node.span)
  return { sources, files, destination }
}

/** The heredoc that a source word opens. Of several with one name, the last counts. */
function inlineFile(word: string, node: SyntaxNode): InlineFile | undefined {
  const opening = node.heredocs.length === 0 ? undefined : parseHeredocOpening(word)
  const heredoc = node.heredocs.findLast(({ name }) => name === opening?.name)
  if (opening === undefined || heredoc === undefined) return undefined
  const content = heredocText({ ...heredoc, isChomped: opening.isChomped })
  return { name: heredoc.name, content, expand: opening.isExpanded }
}
