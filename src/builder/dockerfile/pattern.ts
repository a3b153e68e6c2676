/**
 * Patterns of `${name#pattern}` and its kin: `*` and `?` (neither takes a newline), and a backslash before one of
 * `*?\}/`. All positions of the pattern advance over the text at once, so that no pattern takes exponential time: the steps are those of
 * the pattern times those of the text.
 */

/** Makes the error to throw. */
export type Fail = (state: string) => Error

/** Takes the shortest or longest match off the start. */
export function removePrefix(value: string, pattern: string, isLongest: boolean, fail: Fail): string {
  const text = Array.from(value)
  const end = matchEnd(text, 0, compile(pattern, fail), isLongest)
  return end === undefined ? value : text.slice(end).join('')
}

/** Takes the shortest or longest match off the end. */
export function removeSuffix(value: string, pattern: string, isLongest: boolean, fail: Fail): string {
  const text = Array.from(value).reverse()
  const end = matchEnd(text, 0, compile(pattern, fail).toReversed(), isLongest)
  return end === undefined ? value : text.slice(end).reverse().join('')
}

export interface Replacement {
  readonly pattern: string
  /** Goes in as it is. */
  readonly replacement: string
  readonly isGlobal: boolean
}

/**
 * Replaces the first match, or all of them; each is the longest at the leftmost place. A match of nothing right
 * after another match is none.
 */
export function replacePattern(value: string, what: Replacement, maxLength: number, fail: Fail): string {
  const text = Array.from(value)
  const tokens = compile(what.pattern, fail)
  const starts = matchStarts(text, tokens)
  let result = ''
  let copied: number | undefined
  for (let start = 0; start <= text.length; start++) {
    if (!starts[start]) continue
    const end = matchEnd(text, start, tokens, true) ?? start
    if (end === start && copied === start) continue
    result += text.slice(copied, start).join('') + what.replacement
    if (result.length > maxLength) throw fail(`it becomes longer than ${maxLength} characters`)
    copied = end
    if (!what.isGlobal) break
    start = Math.max(start, end - 1)
  }
  return result + text.slice(copied).join('')
}

const ANY = Symbol('any')
const MANY = Symbol('many')
type Token = string | typeof ANY | typeof MANY

function compile(pattern: string, fail: Fail): readonly Token[] {
  const characters = Array.from(pattern)
  const tokens: Token[] = []
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? ''
    if (character === '*') tokens.push(MANY)
    else if (character === '?') tokens.push(ANY)
    else if (character !== '\\') tokens.push(character)
    else {
      const escaped = characters[++index] ?? ''
      if (escaped === '' || !'*?\\}/'.includes(escaped))
        throw fail(`the pattern escapes ${JSON.stringify(escaped)}, which needs no escape`)
      tokens.push(escaped)
    }
  }
  return tokens
}

/** Where the shortest or longest match that begins at `start` ends. */
function matchEnd(
  text: readonly string[],
  start: number,
  tokens: readonly Token[],
  isLongest: boolean,
): number | undefined {
  let found: number | undefined
  let states = closure(new Set([0]), tokens)
  for (let index = start; states.size > 0; index++) {
    if (states.has(tokens.length)) {
      found = index
      if (!isLongest) return found
    }
    const character = text[index]
    if (character === undefined) return found
    states = closure(step(states, tokens, character), tokens)
  }
  return found
}

/** For each position, whether a match begins there: the reversed pattern, run from every end at once. */
function matchStarts(text: readonly string[], tokens: readonly Token[]): readonly boolean[] {
  const reversed = tokens.toReversed()
  const starts: boolean[] = []
  let states: ReadonlySet<number> = new Set()
  for (let index = text.length; index >= 0; index--) {
    const character = text[index]
    const moved = character === undefined ? new Set<number>() : step(states, reversed, character)
    states = closure(moved.add(0), reversed)
    starts[index] = states.has(tokens.length)
  }
  return starts
}

function step(states: ReadonlySet<number>, tokens: readonly Token[], character: string): Set<number> {
  const moved = new Set<number>()
  for (const state of states) {
    const token = tokens[state]
    if (token === MANY && character !== '\n') moved.add(state)
    else if (token === character || (token === ANY && character !== '\n')) moved.add(state + 1)
  }
  return moved
}

/** A star may also stand for nothing. */
function closure(states: Set<number>, tokens: readonly Token[]): ReadonlySet<number> {
  for (const state of states) if (tokens[state] === MANY) states.add(state + 1)
  return states
}
