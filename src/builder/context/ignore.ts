/** The rules of .dockerignore files, as moby/patternmatcher has them. */
import { posix } from 'node:path'
import { type ByteString, byteStringOf } from '../../oci/byte-string.ts'
import { invalid } from '../dockerfile/invalid.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { BuildError } from '../errors.ts'
import { compilePattern, type Pattern } from './pattern.ts'

export interface IgnoreRules {
  /** Whether the last of the patterns that counts for the path excludes it. */
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
    const rule = parseLine(line.trim(), 'from the root')
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
 * The patterns of `--exclude`, each as a line of an ignore file, but that a `#` means nothing, and that a pattern that
 * begins with `/` matches nothing.
 * @throws BuildError `dockerfile-invalid` for a malformed pattern
 */
export function parseExcludes(patterns: readonly string[], span: SourceSpan): IgnoreRules {
  const rules = patterns
    .filter(pattern => pattern.trim() !== '')
    .map(pattern => {
      const rule = parseLine(pattern.trim(), 'nowhere')
      if (rule === undefined)
        throw invalid(`Cannot exclude ${JSON.stringify(pattern)}: the pattern is malformed`, span)
      return rule
    })
  return createRules(rules)
}

/** @param absolute where a pattern that begins with `/` matches */
function parseLine(line: string, absolute: 'from the root' | 'nowhere'): Rule | undefined {
  const includes = line.startsWith('!')
  const path = includes ? line.slice(1).trim() : line
  if (path === '') return undefined
  const clean = posix.normalize(path).replace(/(?<=.)\/$/, '')
  const pattern = byteStringOf(absolute === 'from the root' ? clean.replace(/^\/(?=.)/, '') : clean)
  const compiled = compilePattern(pattern, 'segment') && compilePattern(pattern, 'ignore')
  return compiled && { includes, pattern: compiled }
}

/** Which of the rules count for a path: by their own match, or by the one of a directory above it. */
interface Matches {
  readonly path: ByteString
  readonly counting: ReadonlySet<number>
  /** The last of them: it decides. */
  readonly last: number
}

/**
 * A path inherits the matches of its directory. A rule that would change nothing is not asked: one that excludes what
 * is excluded by then, or takes in what is not. So `!d` says nothing about what lies in a `d` that no rule before it
 * excludes.
 */
function createRules(rules: readonly Rule[]): IgnoreRules {
  /** Of the directories on the way to the last path, outermost first. Walks ask for neighbours one after another. */
  const above: Matches[] = []

  function matchesOf(path: ByteString): Matches {
    while (above.length > 0 && !path.startsWith(`${above.at(-1)?.path}/`)) above.pop()
    const known = above.at(-1)?.path.length ?? -1
    for (let slash = path.indexOf('/', known + 1); slash !== -1; slash = path.indexOf('/', slash + 1))
      above.push(match(path.slice(0, slash) as ByteString, above.at(-1)))
    return match(path, above.at(-1))
  }

  function match(path: ByteString, inherited: Matches | undefined): Matches {
    const counting = new Set<number>()
    let last = -1
    let isIgnored = false
    for (const [index, { includes, pattern }] of rules.entries()) {
      const counts = inherited?.counting.has(index) || (includes === isIgnored && pattern.test(path))
      if (!counts) continue
      counting.add(index)
      last = index
      isIgnored = !includes
    }
    return { path, counting, last }
  }

  return {
    isIgnored(path) {
      if (path === '') return false
      return rules[matchesOf(path).last]?.includes === false
    },
    mayIncludeBelow(directory) {
      const { last } = matchesOf(directory)
      return rules.some(
        (rule, index) => index > last && rule.includes && rule.pattern.mayMatchBelow(directory),
      )
    },
  }
}
