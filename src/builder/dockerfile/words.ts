import type { Escape } from './instructions.ts'
import { isSpace } from './space.ts'

/** The blanks that part the words of an instruction. A line has no newline any more. */
const BLANKS = /[\t\v\f\r ]+/

/** Splits at blanks; quotes mean nothing here. `text` is trimmed. */
export function splitFields(text: string): readonly string[] {
  return text === '' ? [] : text.split(BLANKS)
}

/** The first word and, where there is one, all that follows the blanks after it. */
export function splitFirst(text: string): readonly [first: string, rest: string | undefined] {
  const blanks = BLANKS.exec(text)
  if (blanks === null) return [text, undefined]
  return [text.slice(0, blanks.index), text.slice(blanks.index + blanks[0].length)]
}

/**
 * Splits at white space outside of quotes. Quotes and escapes stay in the words: expansion takes them away.
 * An escape as the very last character is dropped.
 */
export function splitQuoted(text: string, escapeCharacter: Escape): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index)
    if (quote === undefined && isSpace(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
      continue
    }
    word ??= ''
    if (character === escapeCharacter && quote !== "'") {
      index++
      if (index < text.length) word += character + text.charAt(index)
      continue
    }
    if (quote === undefined && (character === '"' || character === "'")) quote = character
    else if (character === quote) quote = undefined
    word += character
  }
  if (word !== undefined && word !== '') words.push(word)
  return words
}
