/** Heredocs: text in the Dockerfile, from the line after `<<NAME` to a line that is `NAME` (semantics 13). */
import { shellWords } from './expand.ts'

export interface HeredocOpening {
  readonly name: string
  /** `<<-`: tabs at the start of lines go away. */
  readonly isChomped: boolean
  /** No part of the name is quoted, so variables in the content count. */
  readonly isExpanded: boolean
}

export interface Heredoc extends HeredocOpening {
  /** As it stands in the file, line ends and tabs included. */
  readonly content: string
}

const OPENING = /^\d*<<(-?)([^<]+)$/

/** What a word opens, if it is `<<NAME`, `<<-NAME` or `3<<NAME`. */
export function parseHeredocOpening(word: string): HeredocOpening | undefined {
  const match = OPENING.exec(word)
  if (match === null) return undefined
  const [, dash, rest = ''] = match
  const names = shellWords(rest)
  const written = shellWords(rest, { quotes: true })
  const name = names?.[0]
  if (name === undefined || names?.length !== 1 || written === undefined) return undefined
  return { name, isChomped: dash === '-', isExpanded: countQuotes(name) === countQuotes(written.join(' ')) }
}

/** The heredocs that a line opens, in order. A line that the shell could not read opens none. */
export function findHeredocs(line: string): readonly HeredocOpening[] {
  if (!line.includes('<<')) return []
  const words = shellWords(line, { quotes: true, escapes: true }) ?? []
  return words.map(parseHeredocOpening).filter(opening => opening !== undefined)
}

/** The content as the instruction sees it. */
export function heredocText(heredoc: Heredoc): string {
  return heredoc.isChomped ? heredoc.content.replace(/^\t+/gm, '') : heredoc.content
}

function countQuotes(text: string): number {
  return text.replace(/[^'"]/g, '').length
}
