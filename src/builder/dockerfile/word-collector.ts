import { splitAtSpaces } from './space.ts'

/** Collects a text and, beside it, the words that splitting it gives. */
export interface WordCollector {
  readonly value: string
  readonly words: readonly string[]
  /** Text whose white space ends words. */
  addSplit(text: string): void
  /** Text that belongs to one word, spaces and all. An empty one makes no word. */
  addWhole(text: string): void
}

export function createWordCollector(): WordCollector {
  const words: string[] = []
  let value = ''
  let word = ''
  return {
    get value() {
      return value
    },
    get words() {
      return word === '' ? words : [...words, word]
    },
    addSplit(text) {
      value += text
      const [first = '', ...rest] = splitAtSpaces(text)
      word += first
      for (const part of rest) {
        if (word !== '') words.push(word)
        word = part
      }
    },
    addWhole(text) {
      value += text
      word += text
    },
  }
}
