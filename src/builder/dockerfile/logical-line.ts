import type { Escape } from './instructions.ts'
import { trimStart } from './space.ts'

export interface LogicalLine {
  /** Continuations joined, comments and blank lines between them dropped. */
  readonly text: string
  /** Index of the physical line after it. */
  readonly next: number
  /** A blank line follows a continued one, and not the end of the file; that is accepted, with a warning. */
  readonly hasBlank: boolean
}

/** True for a line that stands for nothing outside of an instruction. */
export function isBlankOrComment(line: string): boolean {
  const text = trimStart(line)
  return text === '' || text.startsWith('#')
}

/**
 * Joins the instruction that begins at `lines[start]` (semantics 1-3). White space at the start of its first line
 * is dropped, that of continued lines is part of the text.
 * @param lines without their newlines
 */
export function readLogicalLine(
  lines: readonly string[],
  start: number,
  escapeCharacter: Escape,
): LogicalLine {
  let { text, continues } = splitContinuation(trimStart(lines[start] ?? ''), escapeCharacter)
  let next = start + 1
  let hasBlank = false
  for (; continues && next < lines.length; next++) {
    const line = lines[next] ?? ''
    if (isBlankOrComment(line)) {
      hasBlank ||= trimStart(line) === '' && (line !== '' || next < lines.length - 1)
      continue
    }
    const part = splitContinuation(line, escapeCharacter)
    text += part.text
    continues = part.continues
  }
  return { text, next, hasBlank }
}

/** An escape at the end, blanks after it allowed, continues the line, unless it is escaped itself. */
function splitContinuation(line: string, escapeCharacter: Escape): { text: string; continues: boolean } {
  let end = line.length
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--
  const continues = line[end - 1] === escapeCharacter && line[end - 2] !== escapeCharacter
  return { text: continues ? line.slice(0, end - 1) : line, continues }
}
