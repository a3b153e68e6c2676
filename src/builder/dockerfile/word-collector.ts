import { isSpace } from './space.ts'

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
      for (const character of text) {
        if (!isSpace(character)) word += character
        else if (word !== '') {
          words.push(word)
          word = ''
        }
      }
    },
    addWhole(text) {
      value += text
      word += text
    },
  }
}
