/**
 * Words as the shell writes them: `$name`, `${name}`, `${name:-word}`, quotes and escapes. One pass from left to
 * right; the word of a modifier is read by the same pass, whether its value is used or not.
 */
import { invalid } from './invalid.ts'
import { removePrefix, removeSuffix, replacePattern } from './pattern.ts'
import type { SourceSpan } from './source.ts'
import { createWordCollector, type WordCollector } from './word-collector.ts'

/** The values of variables; a map is one. */
export interface Environment {
  get(name: string): string | undefined
}

export interface Lexing {
  readonly escape: string
  readonly span?: SourceSpan
  readonly keepQuotes: boolean
  readonly keepEscapes: boolean
  /** What is unset stays as it was written. */
  readonly keepUnset: boolean
  /** Quotes are characters like others. */
  readonly ignoreQuotes: boolean
  readonly maxLength: number
}

export interface WordReading {
  /** The whole, unsplit. */
  readonly value: string
  readonly words: readonly string[]
  /** Names that were looked up and not found; a modifier that provides for it does not count. */
  readonly unset: readonly string[]
}

/** @throws BuildError `dockerfile-invalid` */
export function readWord(source: string, env: Environment, lexing: Lexing): WordReading {
  return new WordReader(source, env, lexing).read()
}

const MAX_NESTING = 200

/** Steps of matching patterns that one word may take: seconds, on a slow machine. */
const MAX_STEPS = 1 << 23

/** Names of the shell's special parameters, which are always unset here. */
const SPECIAL = '@*#?-$!'
const NAME = /^[\p{L}\p{Nd}_]$/u
const DIGIT = /^\p{Nd}$/u

class WordReader {
  readonly #source: string
  readonly #characters: readonly string[]
  readonly #env: Environment
  readonly #lexing: Lexing
  readonly #unset = new Set<string>()
  #position = 0
  #depth = 0
  #steps = 0

  constructor(source: string, env: Environment, lexing: Lexing) {
    this.#source = source
    this.#characters = Array.from(source)
    this.#env = env
    this.#lexing = lexing
  }

  read(): WordReading {
    const { value, words } = this.#readUntil(undefined, this.#lexing.keepEscapes)
    return { value, words, unset: [...this.#unset] }
  }

  /** Reads up to `stop`, which is consumed, or to the end. */
  #readUntil(stop: string | undefined, keepEscapes: boolean): WordCollector {
    const { escape: escapeCharacter, ignoreQuotes } = this.#lexing
    const collector = createWordCollector()
    for (let character = this.#peek(); character !== stop; character = this.#peek()) {
      if (character === undefined) throw this.#fail(`a ${JSON.stringify(stop)} is missing`)
      if (character === '$') collector.addSplit(this.#readDollar())
      else if (!ignoreQuotes && character === "'") collector.addWhole(this.#readSingleQuoted())
      else if (!ignoreQuotes && character === '"') collector.addWhole(this.#readDoubleQuoted(keepEscapes))
      else if (character === escapeCharacter) collector.addWhole(this.#readEscaped(keepEscapes))
      else collector.addSplit(this.#next())
      this.#checkLength(collector.value)
    }
    this.#position++
    return collector
  }

  /** An escape that ends the text stands for nothing. */
  #readEscaped(keepEscapes: boolean): string {
    const kept = this.#next()
    return (keepEscapes ? kept : '') + this.#next()
  }

  #readSingleQuoted(): string {
    const start = this.#position + 1
    const end = this.#characters.indexOf("'", start)
    if (end === -1) throw this.#fail("a ' is missing")
    this.#position = end + 1
    const content = this.#characters.slice(start, end).join('')
    return this.#lexing.keepQuotes ? `'${content}'` : content
  }

  #readDoubleQuoted(keepEscapes: boolean): string {
    this.#position++
    let content = ''
    for (let character = this.#peek(); character !== '"'; character = this.#peek()) {
      if (character === undefined) throw this.#fail('a " is missing')
      content += character === '$' ? this.#readDollar() : this.#readQuotedCharacter(keepEscapes)
      this.#checkLength(content)
    }
    this.#position++
    return this.#lexing.keepQuotes ? `"${content}"` : content
  }

  /** Between double quotes an escape escapes `"`, `$` and itself; before others it is a character like them. */
  #readQuotedCharacter(keepEscapes: boolean): string {
    const character = this.#next()
    const following = this.#peek()
    if (character !== this.#lexing.escape || following === undefined) return character
    if (following !== '"' && following !== '$' && following !== character) return character
    return (keepEscapes ? character : '') + this.#next()
  }

  #readDollar(): string {
    this.#position++
    if (this.#peek() !== '{') {
      const name = this.#readName()
      return name === '' ? '$' : (this.#lookUp(name) ?? this.#unsetText(`$${name}`))
    }
    this.#position++
    if (++this.#depth > MAX_NESTING) throw this.#fail(`it is nested more than ${MAX_NESTING} times`)
    const value = this.#readBraced()
    this.#depth--
    return value
  }

  /** What follows `${`. */
  #readBraced(): string {
    const first = this.#peek()
    if (first !== undefined && '{}:'.includes(first)) throw this.#fail('bad substitution')
    const name = this.#readName()
    const operator = this.#next()
    if (operator === '}') return this.#lookUp(name) ?? this.#unsetText(`\${${name}}`)
    if (operator === '/') return this.#readReplacement(name)
    return operator === ':'
      ? this.#readModifier(name, ':', this.#next())
      : this.#readModifier(name, '', operator)
  }

  #readModifier(name: string, colon: '' | ':', operator: string): string {
    if (operator === '') throw this.#fail('a "}" is missing')
    const isPattern = operator === '#' || operator === '%'
    if (!isPattern && !'-+?'.includes(operator))
      throw this.#fail(`the modifier ${JSON.stringify(colon + operator)} is not supported`)
    const word = this.#readUntil('}', isPattern).value
    const value = this.#lookUp(name)
    const isMissing = value === undefined || (colon === ':' && value === '')
    if (value === undefined && this.#lexing.keepUnset) return `\${${name}${colon}${operator}${word}}`
    if (isPattern) return this.#trim(operator, word, value ?? '')
    if (operator === '+') return isMissing ? '' : word
    if (!isMissing) return value
    if (operator === '-') return word
    throw this.#fail(`${name}: ${word || (value === undefined ? 'it is not set' : 'it is empty')}`)
  }

  /** A pattern that begins with the operator again asks for the longest match. */
  #trim(operator: '#' | '%', word: string, value: string): string {
    this.#spend(word, value)
    const isLongest = word.startsWith(operator)
    const remove = operator === '#' ? removePrefix : removeSuffix
    return remove(value, isLongest ? word.slice(1) : word, isLongest, this.#fail)
  }

  #readReplacement(name: string): string {
    const isGlobal = this.#peek() === '/'
    if (isGlobal) this.#position++
    const pattern = this.#readUntil('/', true).value
    const replacement = this.#readUntil('}', true).value
    const value = this.#lookUp(name)
    if (value === undefined) return this.#unsetText(`\${${name}/${pattern}/${replacement}}`)
    this.#spend(pattern, value)
    const replaced = replacePattern(
      value,
      { pattern, replacement, isGlobal },
      this.#lexing.maxLength,
      this.#fail,
    )
    return replaced
  }

  /** A run of digits, one special parameter, or letters, digits and underscores. */
  #readName(): string {
    const first = this.#peek() ?? ''
    if (first !== '' && SPECIAL.includes(first)) return this.#next()
    const allowed = DIGIT.test(first) ? DIGIT : NAME
    let name = ''
    while (allowed.test(this.#peek() ?? '')) name += this.#next()
    return name
  }

  #lookUp(name: string): string | undefined {
    const value = this.#env.get(name)
    if (value === undefined) this.#unset.add(name)
    return value
  }

  #unsetText(written: string): string {
    return this.#lexing.keepUnset ? written : ''
  }

  #peek(): string | undefined {
    return this.#characters[this.#position]
  }

  /** The next character, consumed; nothing at the end. */
  #next(): string {
    return this.#characters[this.#position++] ?? ''
  }

  /** Lengths are of UTF-16 units, which is as many as there are characters, or more. */
  #spend(pattern: string, value: string): void {
    this.#steps += pattern.length * value.length
    if (this.#steps > MAX_STEPS) throw this.#fail('its patterns and values are too long')
  }

  #checkLength(text: string): void {
    if (text.length > this.#lexing.maxLength)
      throw this.#fail(`it becomes longer than ${this.#lexing.maxLength} characters`)
  }

  readonly #fail = (state: string): Error => {
    const shown = this.#source.length > 80 ? `${this.#source.slice(0, 80)}...` : this.#source
    return invalid(`Cannot expand ${JSON.stringify(shown)}: ${state}`, this.#lexing.span)
  }
}
