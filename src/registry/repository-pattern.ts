/**
 * Patterns of repository names, as configuration writes them: `*` stands for any characters within one part of a
 * name, `**` as a whole part for one or more parts.
 *
 * ```
 * app          app
 * team/*       team/app, not team/app/debug
 * team/**      team/app, team/app/debug, not team
 * **           every repository
 * ```
 */
const PATTERN_PART = /^(?:\*\*|[a-z0-9._*:-]+)$/
const MAX_PATTERN_LENGTH = 255

/** What is wrong with a pattern; undefined when it is one. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN_LENGTH) return `is longer than ${MAX_PATTERN_LENGTH} characters`
  for (const part of pattern.split('/')) {
    if (part === '') return 'has an empty part'
    if (!PATTERN_PART.test(part))
      return 'may hold lower-case letters, digits, . _ - and *, in parts divided by /'
    if (part !== '**' && part.includes('**')) return 'has ** beside other characters; it is a part of its own'
  }
  return undefined
}

/** The test for one pattern, which must be one. */
export function repositoryMatcher(pattern: string): (name: string) => boolean {
  const parts = pattern.split('/')
  return name => matchParts(parts, name.split('/'))
}

/** From left to right over all positions that the pattern may have come to: no pattern takes long. */
function matchParts(pattern: readonly string[], name: readonly string[]): boolean {
  let reached = new Set([0])
  for (const part of name) {
    const next = new Set<number>()
    for (const index of reached) {
      const wanted = pattern[index]
      if (wanted === '**') next.add(index).add(index + 1)
      else if (wanted !== undefined && matchPart(wanted, part)) next.add(index + 1)
    }
    reached = next
  }
  return reached.has(pattern.length)
}

/** With the classic backtracking to the last `*` only, which is enough and is linear in the product of both. */
function matchPart(pattern: string, text: string): boolean {
  let at = 0
  let star = -1
  let starred = 0
  let position = 0
  while (position < text.length) {
    if (pattern[at] === '*') {
      star = at++
      starred = position
    } else if (pattern[at] === text[position]) {
      at++
      position++
    } else if (star >= 0) {
      at = star + 1
      position = ++starred
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}
