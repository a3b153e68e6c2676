/**
 * Patterns over paths, as an automaton: a set of positions in the pattern is carried over the path, rune by rune.
 * Time is bounded by the product of both lengths, whatever the pattern: nothing backtracks.
 */
import type { ByteString } from '../../oci/byte-string.ts'

export interface Pattern {
  test(path: ByteString): boolean
  /** True when some path below this directory matches. */
  mayMatchBelow(directory: ByteString): boolean
}

/**
 * - `segment`: Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a-z]`, `\` before a literal character.
 * - `ignore`: in addition `**`, any number of directories, as moby/patternmatcher reads it.
 */
export type PatternDialect = 'segment' | 'ignore'

type Token =
  | { readonly kind: 'rune'; readonly rune: number }
  /** One rune but `/`. */
  | { readonly kind: 'any' }
  | {
      readonly kind: 'class'
      readonly negated: boolean
      readonly ranges: readonly (readonly [number, number])[]
    }
  /** Any number of runes but `/`. */
  | { readonly kind: 'star' }
  /** Any number of runes. */
  | { readonly kind: 'everything' }
  /** Nothing at all, or what the `directories` that follows takes. */
  | { readonly kind: 'optional' }
  /** Any number of runes, the last of them `/`. */
  | { readonly kind: 'directories' }

const SLASH = 0x2f

/** Undefined for a malformed pattern: a class that is empty or does not end, a `\` at the end. */
export function compilePattern(pattern: ByteString, dialect: PatternDialect): Pattern | undefined {
  const tokens = tokenize(runesOf(pattern), dialect)
  if (tokens === undefined) return undefined
  const literal = tokens.findIndex(token => token.kind !== 'rune')
  const prefix = tokens.slice(0, literal === -1 ? tokens.length : literal)
  const automaton = tokens.slice(prefix.length)
  return {
    test(path) {
      const runes = runesOf(path)
      if (runes.length < prefix.length || !startsWith(runes, prefix, prefix.length)) return false
      return automaton.length === 0
        ? runes.length === prefix.length
        : positionsAfter(automaton, runes, prefix.length)[automaton.length] === 1
    },
    mayMatchBelow(directory) {
      const runes = [...runesOf(directory), SLASH]
      if (!startsWith(runes, prefix, Math.min(runes.length, prefix.length))) return false
      if (runes.length < prefix.length) return true
      // A path below has at least one more rune, which the last position (the pattern's end) cannot take.
      return positionsAfter(automaton, runes, prefix.length).subarray(0, automaton.length).includes(1)
    },
  }
}

function startsWith(runes: readonly number[], prefix: readonly Token[], length: number): boolean {
  for (let i = 0; i < length; i++) {
    const token = prefix[i]
    if (token?.kind !== 'rune' || token.rune !== runes[i]) return false
  }
  return true
}

function positionsAfter(tokens: readonly Token[], runes: readonly number[], start: number): Uint8Array {
  let positions = new Uint8Array(tokens.length + 1)
  let next = new Uint8Array(tokens.length + 1)
  enter(tokens, positions, 0)
  for (let i = start; i < runes.length; i++) {
    next.fill(0)
    for (let at = 0; at < tokens.length; at++) {
      if (positions[at] === 1) advance(tokens, at, runes[i] ?? 0, next)
    }
    const spent = positions
    positions = next
    next = spent
    // What matches nowhere any more will not match further on: that is most patterns on most paths.
    if (!positions.includes(1)) break
  }
  return positions
}

/** Marks a position, and those that are reached from it without taking a rune. */
function enter(tokens: readonly Token[], positions: Uint8Array, at: number): void {
  for (let position = at; positions[position] === 0; ) {
    positions[position] = 1
    const kind = tokens[position]?.kind
    if (kind === 'optional') {
      positions[position + 1] = 1
      position += 2
    } else if (kind === 'star' || kind === 'everything') position++
    else return
  }
}

function advance(tokens: readonly Token[], at: number, rune: number, next: Uint8Array): void {
  const token = tokens[at]
  switch (token?.kind) {
    case 'rune':
      if (rune === token.rune) enter(tokens, next, at + 1)
      return
    case 'any':
      if (rune !== SLASH) enter(tokens, next, at + 1)
      return
    case 'class':
      if (token.ranges.some(([low, high]) => low <= rune && rune <= high) !== token.negated)
        enter(tokens, next, at + 1)
      return
    case 'star':
      if (rune !== SLASH) enter(tokens, next, at)
      return
    case 'everything':
      enter(tokens, next, at)
      return
    case 'directories':
      next[at] = 1
      if (rune === SLASH) enter(tokens, next, at + 1)
  }
}

function tokenize(runes: readonly number[], dialect: PatternDialect): readonly Token[] | undefined {
  const tokens: Token[] = []
  for (let at = 0; at < runes.length; ) {
    const character = String.fromCodePoint(Math.min(runes[at] ?? 0, 0x10ffff))
    if (character === '*' && dialect === 'ignore' && runes[at + 1] === runes[at]) {
      const end = runes[at + 2] === SLASH ? at + 3 : at + 2
      const open = end === runes.length || (at === 0 && end === 2 && isLiteral(runes.slice(end)))
      tokens.push(...(open ? EVERYTHING : DIRECTORIES))
      at = end
    } else if (character === '[') {
      const parsed = parseClass(runes, at + 1)
      if (parsed === undefined) return undefined
      tokens.push(parsed.token)
      at = parsed.end
    } else {
      if (character === '\\') at++
      const rune = runes[at++]
      if (rune === undefined) return undefined
      tokens.push(
        character === '*' ? { kind: 'star' } : character === '?' ? { kind: 'any' } : { kind: 'rune', rune },
      )
    }
  }
  return tokens
}

const EVERYTHING: readonly Token[] = [{ kind: 'everything' }]
const DIRECTORIES: readonly Token[] = [{ kind: 'optional' }, { kind: 'directories' }]

/** patternmatcher compares the end of the path only, where nothing but plain text follows a leading `**`. */
function isLiteral(runes: readonly number[]): boolean {
  return runes.every(rune => !'*?[]\\'.includes(String.fromCodePoint(Math.min(rune, 0x10ffff))))
}

function parseClass(runes: readonly number[], start: number): { token: Token; end: number } | undefined {
  const ranges: (readonly [number, number])[] = []
  const negated = runes[start] === 0x5e
  let at = negated ? start + 1 : start
  /** One character of a class; the class must go on after it. */
  const member = (): number | undefined => {
    if (at >= runes.length || runes[at] === 0x2d || runes[at] === 0x5d) return undefined
    if (runes[at] === 0x5c) at++
    const rune = runes[at++]
    return at < runes.length ? rune : undefined
  }
  while (ranges.length === 0 || runes[at] !== 0x5d) {
    const low = member()
    if (low === undefined) return undefined
    let high: number | undefined = low
    if (runes[at] === 0x2d) {
      at++
      high = member()
    }
    if (high === undefined) return undefined
    ranges.push([low, high])
  }
  return { token: { kind: 'class', negated, ranges }, end: at + 1 }
}

/** Unicode code points; a byte that is not UTF-8 is a rune of its own, above all others. */
function runesOf(value: ByteString): readonly number[] {
  const runes: number[] = []
  for (let at = 0; at < value.length; ) {
    const first = value.charCodeAt(at)
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
    if (length === 1) {
      runes.push(first)
      at++
      continue
    }
    const text = Buffer.from(value.slice(at, at + length), 'latin1').toString('utf8')
    const rune = text.codePointAt(0) ?? 0
    const isRune =
      Buffer.byteLength(text) === length && String.fromCodePoint(rune) === text && rune !== 0xfffd
    runes.push(isRune ? rune : 0x110000 + first)
    at += isRune ? length : 1
  }
  return runes
}
