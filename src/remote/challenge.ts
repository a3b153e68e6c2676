/** One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const PARAMETER = new RegExp(`\\s*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))\\s*(?:,|$)`, 'y')
const SCHEME = new RegExp(`[\\s,]*(${TOKEN})(?=[\\s,]|$)`, 'y')
/** The other form of credentials (`Negotiate abc==`): read over. */
const TOKEN68 = /\s*[A-Za-z0-9._~+/-]+=*\s*(?:,|$)/y

const MAX_HEADER = 8192

/**
 * All challenges of a header, in order. Node joins several headers with a comma, and a comma also divides
 * parameters: a word that is not followed by `=` begins the next challenge. What cannot be read ends the list.
 */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, MAX_HEADER)
  const challenges: Challenge[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match !== null) at = pattern.lastIndex
    return match
  }
  while (at < text.length) {
    const scheme = take(SCHEME)?.[1]
    if (scheme === undefined) break
    const parameters = new Map<string, string>()
    for (let match = take(PARAMETER); match !== null; match = take(PARAMETER)) {
      const [, name = '', quoted, plain = ''] = match
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain)
    }
    if (parameters.size === 0) take(TOKEN68)
    challenges.push({ scheme: scheme.toLowerCase(), parameters })
  }
  return challenges
}
