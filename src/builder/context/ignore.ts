/** The rules of .dockerignore files, as moby/patternmatcher has them. */
import { posix } from 'node:path'
import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import { invalid } from '../dockerfile/invalid.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { BuildError } from '../errors.ts'
import { compilePattern, type Pattern } from './pattern.ts'

export interface IgnoreRules {
  /** True when the last pattern that matches the path or one of its parents excludes. */
  isIgnored(path: ByteString): boolean
  /** For an ignored directory: true when a `!` pattern can bring back something below it. */
  mayIncludeBelow(directory: ByteString): boolean
}

interface Rule {
  readonly includes: boolean
  readonly pattern: Pattern
}

const MAX_RULES = 10_000

/**
 * Reads an ignore file. Lines that begin with `#` are comments; `!` takes a path back in; leading and trailing `/`
 * mean nothing; `**` spans directories.
 * @param name of the file, for errors
 * @throws BuildError `context-invalid` for a malformed pattern, with its line
 */
export function parseIgnoreFile(text: string, name: string): IgnoreRules {
  const rules: Rule[] = []
  for (const [index, line] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    if (line.startsWith('#') || line.trim() === '') continue
    const rule = parseLine(line.trim())
    const problem =
      rule === undefined
        ? `malformed pattern ${JSON.stringify(line.trim())}`
        : `more than ${MAX_RULES} patterns`
    if (rule === undefined || rules.length === MAX_RULES)
      throw new BuildError('context-invalid', `Cannot read ${name}: line ${index + 1}: ${problem}`)
    rules.push(rule)
  }
  return createRules(rules)
}

/**
 * The patterns of `--exclude`, each as a line of an ignore file; a `#` means nothing.
 * @throws BuildError `dockerfile-invalid` for a malformed pattern
 */
export function parseExcludes(patterns: readonly string[], span: SourceSpan): IgnoreRules {
  const rules = patterns
    .filter(pattern => pattern.trim() !== '')
    .map(pattern => {
      const rule = parseLine(pattern.trim())
      if (rule === undefined)
        throw invalid(`Cannot exclude ${JSON.stringify(pattern)}: the pattern is malformed`, span)
      return rule
    })
  return createRules(rules)
}

function parseLine(line: string): Rule | undefined {
  const includes = line.startsWith('!')
  const path = includes ? line.slice(1).trim() : line
  if (path === '') return undefined
  const clean = posix.normalize(path).replace(/(?<=.)\/$/, '')
  const pattern = byteStringOf(clean.length > 1 ? clean.replace(/^\//, '') : clean)
  const compiled = compilePattern(pattern, 'segment') && compilePattern(pattern, 'ignore')
  return compiled && { includes, pattern: compiled }
}

/**
 * A path inherits what its parents match, so the last match of a path is at least that of its parent, and only
 * later rules need a look.
 */
function createRules(rules: readonly Rule[]): IgnoreRules {
  const ofDirectories = new Map<ByteString, number>()

  function lastMatch(path: ByteString): number {
    let inherited = -1
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash) as ByteString
      const known = ofDirectories.get(parent)
      inherited = known ?? lastOwnMatch(parent, inherited)
      if (known === undefined) ofDirectories.set(parent, inherited)
    }
    return lastOwnMatch(path, inherited)
  }

  function lastOwnMatch(path: ByteString, inherited: number): number {
    for (let index = rules.length - 1; index > inherited; index--) {
      if (rules[index]?.pattern.test(path)) return index
    }
    return inherited
  }

  return {
    isIgnored(path) {
      if (path === '') return false
      const rule = rules[lastMatch(path)]
      return rule !== undefined && !rule.includes
    },
    mayIncludeBelow(directory) {
      const last = lastMatch(directory)
      return rules.some(
        (rule, index) => index > last && rule.includes && rule.pattern.mayMatchBelow(directory),
      )
    },
  }
}
