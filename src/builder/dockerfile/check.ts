import { parseGoBoolean } from './go-boolean.ts'
import type { Warning } from './instructions.ts'
import { invalid } from './invalid.ts'
import type { SourceSpan } from './source.ts'

/** What `# check=skip=A,B;error=true` asks for. */
export interface CheckOptions {
  /** Rules that are not told of. */
  readonly skip: RuleSet
  /** Rules on trial that are told of. */
  readonly experimental: RuleSet
  /** Whether a warning fails the build. */
  readonly error: boolean
}

type RuleSet = 'all' | readonly string[]

/** Rules that hold only where they are asked for; `skip` is not for them. */
const EXPERIMENTAL: readonly string[] = ['CopyIgnoredFile', 'InvalidDefinitionDescription']

/**
 * Reads what `BUILDKIT_DOCKERFILE_CHECK` says, or a check directive, of which only what stands before a blank counts.
 * Names of options and rules are case-sensitive, and blanks are part of them, as for BuildKit.
 * @throws BuildError `dockerfile-invalid` for an option that is not known
 */
export function parseCheck(text: string | undefined, span?: SourceSpan): CheckOptions {
  let options: CheckOptions = { skip: [], experimental: [], error: false }
  if (text === undefined || text === '') return options
  for (const option of text.split(';')) {
    const equals = option.indexOf('=')
    const name = option.slice(0, Math.max(0, equals))
    const value = option.slice(equals + 1)
    if (name === 'skip' || name === 'experimental') options = { ...options, [name]: parseRules(value) }
    else if (name === 'error') options = { ...options, error: readError(value, span) }
    else
      throw invalid(
        `Cannot read the check option ${JSON.stringify(option)}: it is not skip=, error= or experimental=`,
        span,
      )
  }
  return options
}

/** Whether a finding is to be told. A warning without a rule always is. */
export function isChecked({ rule }: Partial<Warning>, { skip, experimental }: CheckOptions): boolean {
  if (rule === undefined) return true
  return EXPERIMENTAL.includes(rule) ? isIn(experimental, rule) : !isIn(skip, rule)
}

function parseRules(text: string): RuleSet {
  return text === 'all' ? 'all' : text.split(',').map(rule => rule.trim())
}

function isIn(rules: RuleSet, rule: string): boolean {
  return rules === 'all' || rules.includes(rule)
}

function readError(text: string, span: SourceSpan | undefined): boolean {
  const error = parseGoBoolean(text)
  if (error !== undefined) return error
  throw invalid(`Cannot read the check option error=: want true or false, got ${JSON.stringify(text)}`, span)
}
