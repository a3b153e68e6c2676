import { expandBody, expandWord, expandWords } from '../dockerfile/expand.ts'
import type { Directives, Warning } from '../dockerfile/instructions.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { Environment } from '../dockerfile/word-reader.ts'
import type { StageDraft } from './stage-draft.ts'

/** The expansions of one Dockerfile. A variable that is not set is empty (semantics 10). */
export interface Expand {
  /** @param onUnset is told each name that was looked up in vain */
  word(word: string, env: Environment, span: SourceSpan, onUnset?: (name: string) => void): string
  words(word: string, env: Environment, span: SourceSpan): readonly string[]
  /** Of a heredoc. */
  body(body: string, env: Environment, span: SourceSpan, onUnset?: (name: string) => void): string
}

export function createExpand({ escape: escapeCharacter }: Directives): Expand {
  return {
    word(word, env, span, onUnset) {
      const { value, unset } = expandWord(word, env, { escape: escapeCharacter, span })
      if (onUnset !== undefined) unset.forEach(onUnset)
      return value
    },
    words: (word, env, span) => expandWords(word, env, { escape: escapeCharacter, span }).words,
    body(body, env, span, onUnset) {
      const { value, unset } = expandBody(body, env, { span })
      if (onUnset !== undefined) unset.forEach(onUnset)
      return value
    },
  }
}

type Variables = Pick<StageDraft, 'env' | 'args'>

/** The same within a stage: to use a variable that is neither set nor declared is worth a warning. */
export interface StageExpand {
  word(word: string, variables: Variables, span: SourceSpan): string
  /** Without a warning, as BuildKit does. */
  words(word: string, variables: Variables, span: SourceSpan): readonly string[]
  body(body: string, variables: Variables, span: SourceSpan): string
}

export function expandInStages(expand: Expand, warn: (warning: Warning) => void): StageExpand {
  const report = (args: readonly string[], span: SourceSpan) => (name: string) => {
    if (args.includes(name)) return
    warn({ rule: 'UndefinedVar', message: `The variable $${name} is not set, and so is empty`, span })
  }
  return {
    word: (word, { env, args }, span) => expand.word(word, env, span, report(args, span)),
    words: (word, { env }, span) => expand.words(word, env, span),
    body: (body, { env, args }, span) => expand.body(body, env, span, report(args, span)),
  }
}
