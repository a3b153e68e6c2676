/**
 * Text to syntax nodes: one per instruction, with its keyword, flags, remaining text and heredocs.
 *
 * dockerfile-ast says where instructions begin. It is an editor's parser and errs in places: it goes on after an
 * escaped escape at the end of a line, and takes the body of `3<<X` for instructions. So each instruction is read
 * here from its first line; what the tree has swallowed is read as well, and what it finds inside a heredoc is
 * passed over.
 */
import { DockerfileParser } from 'dockerfile-ast'
import { parseDirectives } from './directives.ts'
import { splitFlags } from './flags.ts'
import { findHeredocs, type Heredoc, type HeredocOpening } from './heredoc.ts'
import type { Directives, Escape } from './instructions.ts'
import { invalid } from './invalid.ts'
import { parseJsonForm } from './json-form.ts'
import { isBlankOrComment, readLogicalLine } from './logical-line.ts'
import type { DockerfileSource, PlaceLines, SourceSpan } from './source.ts'
import { trim } from './space.ts'
import { splitFirst } from './words.ts'

export interface SyntaxNode {
  /** As written: `FROM`, `from`. */
  readonly keyword: string
  /** Without the quotes and escapes that held them together. */
  readonly flags: readonly string[]
  /** What follows keyword and flags, trimmed. */
  readonly rest: string
  readonly heredocs: readonly Heredoc[]
  readonly original: string
  readonly span: SourceSpan
  /** The last line that is continued over an empty one; that is accepted, with a warning. */
  readonly blankContinuation?: SourceSpan
}

export interface SyntaxTree {
  readonly directives: Directives
  readonly nodes: readonly SyntaxNode[]
}

/** @throws BuildError `dockerfile-invalid` for wrong directives, heredocs without an end, and text beyond the limits */
export function parseSyntax(source: DockerfileSource): SyntaxTree {
  const text = source.text.replace(/^\ufeff/, '')
  const place: PlaceLines = (startLine, endLine) => ({ source, startLine, endLine })
  const directives = parseDirectives(text.split('\n', 4).map(trimCarriageReturns), place)
  return { directives, nodes: readNodes(text, directives.escape, place) }
}

/** The nodes of text without directives. */
export function readNodes(text: string, escapeCharacter: Escape, place: PlaceLines): readonly SyntaxNode[] {
  checkLimits(text, place)
  const rawLines = text.split('\n')
  const lines = rawLines.map(trimCarriageReturns)
  const reader = createNodeReader({ place, lines, rawLines, escape: escapeCharacter })
  for (const start of [...instructionStarts(text), lines.length]) reader.readTo(start)
  return reader.nodes
}

/** Keyword, flags and the rest of an instruction on one line. */
export function splitInstruction(line: string): Pick<SyntaxNode, 'keyword' | 'flags' | 'rest'> {
  const [keyword, text = ''] = splitFirst(trim(line))
  const { flags, rest } = splitFlags(text)
  return { keyword, flags, rest: trim(rest) }
}

const MAX_TEXT_LENGTH = 4 * 1024 * 1024

/** BuildKit reads lines with a scanner that takes no longer ones, in bytes. */
const MAX_LINE_BYTES = 65535

function checkLimits(text: string, place: PlaceLines): void {
  if (text.length > MAX_TEXT_LENGTH)
    throw invalid(`Cannot read the Dockerfile: it is longer than ${MAX_TEXT_LENGTH} characters`, undefined)
  for (const [index, line] of text.split('\n').entries()) {
    if (line.length <= MAX_LINE_BYTES / 3 || Buffer.byteLength(line) <= MAX_LINE_BYTES) continue
    throw invalid(
      `Cannot read the line: it is longer than ${MAX_LINE_BYTES} bytes`,
      place(index + 1, index + 1),
    )
  }
}

/** Indexes of lines, in order. A lone carriage return ends a line for the tree, and for no builder. */
function instructionStarts(text: string): readonly number[] {
  const instructions = DockerfileParser.parse(text.replace(/\r(?!\n)/g, ' ')).getInstructions()
  return instructions.map(instruction => instruction.getRange().start.line)
}

interface NodeReaderInput {
  readonly place: PlaceLines
  /** Without line ends. */
  readonly lines: readonly string[]
  /** With their carriage returns, for the content of heredocs. */
  readonly rawLines: readonly string[]
  readonly escape: Escape
}

interface NodeReader {
  readonly nodes: readonly SyntaxNode[]
  /** Reads all instructions that begin on a line up to this one. */
  readTo(line: number): void
}

function createNodeReader(input: NodeReaderInput): NodeReader {
  const { place, lines, escape: escapeCharacter } = input
  const nodes: SyntaxNode[] = []
  let cursor = 0

  function readNode(): void {
    const startLine = cursor + 1
    const { text, next, hasBlank } = readLogicalLine(lines, cursor, escapeCharacter)
    const opening = place(startLine, next)
    const parts = splitInstruction(text)
    const heredocs: Heredoc[] = []
    cursor = next
    if (takesHeredocs(parts, opening)) {
      for (const heredoc of findHeredocs(text)) {
        const { content, end } = readHeredoc(input, heredoc, cursor, opening)
        heredocs.push({ ...heredoc, content })
        cursor = end
      }
    }
    const span = place(startLine, cursor)
    nodes.push({
      ...parts,
      heredocs,
      original: text,
      span,
      ...(hasBlank && { blankContinuation: place(next, next) }),
    })
  }

  return {
    nodes,
    readTo(line) {
      while (cursor <= line && cursor < lines.length) {
        if (isBlankOrComment(lines[cursor] ?? '')) cursor++
        else readNode()
      }
    },
  }
}

function takesHeredocs(parts: Pick<SyntaxNode, 'keyword' | 'rest'>, span: SourceSpan): boolean {
  const { keyword, rest } = parts.keyword.toLowerCase() === 'onbuild' ? splitInstruction(parts.rest) : parts
  return ['run', 'copy', 'add'].includes(keyword.toLowerCase()) && parseJsonForm(rest, span) === undefined
}

function readHeredoc(
  input: NodeReaderInput,
  heredoc: HeredocOpening,
  start: number,
  span: SourceSpan,
): { content: string; end: number } {
  for (let index = start; index < input.lines.length; index++) {
    const line = input.lines[index] ?? ''
    if ((heredoc.isChomped ? line.replace(/^\t+/, '') : line) !== heredoc.name) continue
    const content = input.rawLines.slice(start, index).map(raw => `${raw}\n`)
    return { content: content.join(''), end: index + 1 }
  }
  throw invalid(
    `Cannot read the heredoc ${JSON.stringify(heredoc.name)}: no line ends it`,
    span,
    `end it with a line that holds nothing but ${heredoc.name}`,
  )
}

function trimCarriageReturns(line: string): string {
  let end = line.length
  while (line[end - 1] === '\r') end--
  return line.slice(0, end)
}
