/** Text as Go's `fmt` prints it: BuildKit's history is written so, and tools compare it. */

const REPLACEMENT = '\ufffd'

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['\\', '\\\\'],
  ['"', '\\"'],
])

/** `%q` of a string. */
export function quote(text: string): string {
  return `"${[...text].map(quoteCharacter).join('')}"`
}

/** `%q` of a list of strings: `["a" "b"]` */
export function quoteList(items: readonly string[]): string {
  return `[${items.map(quote).join(' ')}]`
}

/** `%v` of a list of strings: `[a b]` */
export function formatList(items: readonly string[]): string {
  return `[${items.join(' ')}]`
}

/** `%q` of a number: the character with this code. */
export function quoteNumber(value: number): string {
  const isCharacter = Number.isInteger(value) && value >= 0 && value <= 0x10ffff
  const character = isCharacter ? String.fromCodePoint(value) : REPLACEMENT
  return `'${character === "'" ? "\\'" : character === '"' ? '"' : quoteCharacter(character)}'`
}

/** A time.Duration of nanoseconds: `1h0m0s`, `1.5s`, `20ms`. */
export function formatDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s'
  if (nanoseconds < 1e9) {
    const [unit, size] = nanoseconds < 1e3 ? ['ns', 1] : nanoseconds < 1e6 ? ['µs', 1e3] : ['ms', 1e6]
    return `${fraction(nanoseconds, size)}${unit}`
  }
  const minutes = Math.floor(nanoseconds / 60e9)
  const seconds = `${fraction(nanoseconds - minutes * 60e9, 1e9)}s`
  if (minutes === 0) return seconds
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`
}

/** Exact, where a division of floats would not be. */
function fraction(value: number, unit: number): string {
  const digits = String(value % unit)
    .padStart(Math.log10(unit), '0')
    .replace(/0+$/, '')
  return `${Math.floor(value / unit)}${digits === '' || unit === 1 ? '' : `.${digits}`}`
}

function quoteCharacter(character: string): string {
  const short = ESCAPES.get(character)
  if (short !== undefined) return short
  // Almost all are, and the expression below takes milliseconds to compile.
  if (character >= ' ' && character <= '~') return character
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) return character
  const code = character.codePointAt(0) ?? 0
  if (code < 0x80) return `\\x${hex(code, 2)}`
  if (code >= 0xd800 && code < 0xe000) return REPLACEMENT
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}
