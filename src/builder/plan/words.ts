import { expandBody, expandWord, expandWords } from '../dockerfile/expand.ts'
import type { Directives, Warning } from '../dockerfile/instructions.ts'
import type { SourceSpan } from '../dockerfile/source.ts'

type Environment = ReadonlyMap<string, string>

/** The expansions of one Dockerfile. A variable that is not set is empty, and worth a warning (semantics 10). */
export interface Expand {
  word(word: string, env: Environment, span: SourceSpan): string
  words(word: string, env: Environment, span: SourceSpan): readonly string[]
  /** Of a heredoc. */
  body(body: string, env: Environment, span: SourceSpan): string
}

export function createExpand(directives: Directives, warn: (warning: Warning) => void): Expand {
  const report = (unset: readonly string[], span: SourceSpan): void => {
    for (const name of unset)
      warn({ rule: 'UndefinedVar', message: `The variable $${name} is not set, and so is empty`, span })
  }
  return {
    word(word, env, span) {
      const { value, unset } = expandWord(word, env, { escape: directives.escape, span })
      report(unset, span)
      return value
    },
    words(word, env, span) {
      const { words, unset } = expandWords(word, env, { escape: directives.escape, span })
      report(unset, span)
      return words
    },
    body(body, env, span) {
      const { value, unset } = expandBody(body, env, { span })
      report(unset, span)
      return value
    },
  }
}
