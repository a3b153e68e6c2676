/** Variables in words: where each instruction wants which of these is told in `instructions.ts` (semantics 7-13). */
import { BuildError } from '../errors.ts'
import type { Escape } from './instructions.ts'
import type { SourceSpan } from './source.ts'
import { type Environment, type Lexing, readWord } from './word-reader.ts'

export interface ExpandOptions {
  readonly escape: Escape
  /** Where the word stands, for errors. */
  readonly span?: SourceSpan
}

export interface Expansion {
  readonly value: string
  /** Names that were looked up and not found, in order, without repeats, also where a modifier says what then. */
  readonly unset: readonly string[]
}

/** One word to one word: variables replaced, quotes and escapes taken away, no splitting. @throws BuildError */
export function expandWord(word: string, env: Environment, options: ExpandOptions): Expansion {
  const { value, unset } = readWord(word, env, { ...PLAIN, ...options })
  return { value, unset }
}

/** One word to any number of words: what variables bring in is split at white space. @throws BuildError */
export function expandWords(
  word: string,
  env: Environment,
  options: ExpandOptions,
): { readonly words: readonly string[]; readonly unset: readonly string[] } {
  const { words, unset } = readWord(word, env, { ...PLAIN, ...options })
  return { words, unset }
}

/** The content of a heredoc: quotes are content, and the escape is always the backslash. @throws BuildError */
export function expandBody(
  body: string,
  env: Environment,
  options: { readonly span?: SourceSpan } = {},
): Expansion {
  const lexing = { ...PLAIN, ...options, escape: '\\', ignoreQuotes: true, maxLength: MAX_BODY_LENGTH }
  const { value, unset } = readWord(body, env, lexing)
  return { value, unset }
}

/**
 * The words that a shell would see, variables left alone and quotes and escapes taken away unless they are to be
 * kept; undefined where the shell could not read them.
 */
export function shellWords(
  text: string,
  keep: { readonly quotes?: boolean; readonly escapes?: boolean } = {},
): readonly string[] | undefined {
  try {
    return readWord(text, new Map(), {
      ...PLAIN,
      keepUnset: true,
      keepQuotes: keep.quotes ?? false,
      keepEscapes: keep.escapes ?? false,
      maxLength: MAX_BODY_LENGTH,
    }).words
  } catch (error) {
    if (error instanceof BuildError && error.code === 'dockerfile-invalid') return undefined
    throw error
  }
}

/** Bound what hostile definitions make of each other (`ENV a=$a$a` in every line). In UTF-16 units. */
const MAX_WORD_LENGTH = 1024 * 1024
const MAX_BODY_LENGTH = 8 * 1024 * 1024

const PLAIN = {
  escape: '\\',
  keepQuotes: false,
  keepEscapes: false,
  keepUnset: false,
  ignoreQuotes: false,
  maxLength: MAX_WORD_LENGTH,
} as const satisfies Lexing
