import type { Directives } from './instructions.ts'
import { invalid } from './invalid.ts'
import type { PlaceLines } from './source.ts'
import { trimStart } from './space.ts'

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/
const NAMES = ['syntax', 'escape', 'check']

export function isDirective(line: string): boolean {
  return NAMES.includes(DIRECTIVE.exec(trimStart(line))?.[1]?.toLowerCase() ?? '')
}

/**
 * Parser directives: comments `# name=value` on the very first lines. The first line that is none, or has a name
 * that is not known, makes all further ones ordinary comments (semantics 4).
 * @param lines at least the first four: there are three directives
 * @throws BuildError for a directive that is given twice, or another escape than backslash and backtick
 */
export function parseDirectives(lines: readonly string[], place: PlaceLines): Directives {
  const found = new Map<string, string>()
  for (const [index, line] of lines.entries()) {
    const match = DIRECTIVE.exec(trimStart(line))
    const name = match?.[1]?.toLowerCase() ?? ''
    if (!NAMES.includes(name)) break
    const value = match?.[2]?.trimEnd() ?? ''
    const span = place(index + 1, index + 1)
    if (found.has(name)) throw invalid(`Cannot set the directive ${name}: it is set twice`, span)
    if (name === 'escape' && value !== '\\' && value !== '`')
      throw invalid(`Cannot set the escape to ${JSON.stringify(value)}: it must be \\ or \``, span)
    found.set(name, value)
  }
  const syntax = found.get('syntax')
  const check = found.get('check')
  return {
    escape: found.get('escape') === '`' ? '`' : '\\',
    ...(syntax !== undefined && { syntax }),
    ...(check !== undefined && { check }),
  }
}
