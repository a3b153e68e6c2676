/** White space as Go's `unicode.IsSpace` has it: not JavaScript's, which counts U+FEFF and not U+0085. */
const SPACES = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const SPACE = new RegExp(`^[${SPACES}]$`)
const SPACE_RUN = new RegExp(`[${SPACES}]+`)
const NOT_SPACE = new RegExp(`[^${SPACES}]`)

export function isSpace(character: string): boolean {
  return SPACE.test(character)
}

/** What stands between runs of white space; first or last empty where the text begins or ends with one. */
export function splitAtSpaces(text: string): readonly string[] {
  return text.split(SPACE_RUN)
}

export function trimStart(text: string): string {
  const start = text.search(NOT_SPACE)
  return start === -1 ? '' : text.slice(start)
}

export function trim(text: string): string {
  let end = text.length
  while (end > 0 && isSpace(text.charAt(end - 1))) end--
  return trimStart(text.slice(0, end))
}
