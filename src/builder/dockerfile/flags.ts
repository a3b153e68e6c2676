import { didYouMean, invalid } from './invalid.ts'
import type { SourceSpan } from './source.ts'
import { isSpace, trimStart } from './space.ts'
import { suggest } from './suggest.ts'

/**
 * Takes the flags off the start of an instruction's arguments: words that begin with `--`, up to the first that
 * does not, or up to a lone `--`. Quotes and backslashes work as in a shell, and are gone afterwards.
 */
export function splitFlags(text: string): { readonly flags: readonly string[]; readonly rest: string } {
  const flags: string[] = []
  let rest = trimStart(text)
  while (rest.startsWith('--')) {
    const { word, end } = readFlagWord(rest)
    rest = trimStart(rest.slice(end))
    if (word === '--') break
    flags.push(word)
  }
  return { flags, rest }
}

function readFlagWord(text: string): { word: string; end: number } {
  let word = ''
  let quote: string | undefined
  let index = 0
  for (; index < text.length; index++) {
    const character = text.charAt(index)
    if (quote === undefined && isSpace(character)) break
    if (character === '\\') word += text.charAt(++index)
    else if (character === quote) quote = undefined
    else if (quote === undefined && (character === '"' || character === "'")) quote = character
    else word += character
  }
  return { word, end: index }
}

/** `text` has one value, `word` one that is not empty, `texts` any number, `boolean` none or `=true`, `=false`. */
export type FlagKind = 'text' | 'word' | 'texts' | 'boolean'

export type FlagValues<Spec extends Record<string, FlagKind>> = {
  readonly [Name in keyof Spec]: Spec[Name] extends 'texts'
    ? readonly string[]
    : (Spec[Name] extends 'boolean' ? boolean : string) | undefined
}

/**
 * Reads flags by their names in `spec`. An empty text counts as absent.
 * @throws BuildError for a flag that is unknown, given twice, or has a wrong value
 */
export function readFlags<const Spec extends Record<string, FlagKind>>(
  flags: readonly string[],
  spec: Spec,
  instruction: string,
  span: SourceSpan,
): FlagValues<Spec> {
  const values = new Map<string, string[]>()
  for (const flag of flags) {
    const [name, value] = splitFlag(flag)
    const kind = Object.hasOwn(spec, name) ? spec[name] : undefined
    if (kind === undefined) throw unknownFlag(name, Object.keys(spec), instruction, span)
    const given = values.get(name)
    if (given !== undefined && kind !== 'texts')
      throw invalid(`Cannot read ${instruction}: the flag --${name} is given twice`, span)
    values.set(name, [...(given ?? []), checkValue(name, value, kind, instruction, span)])
  }
  const entries = Object.entries(spec).map(([name, kind]) => [name, flagValue(values.get(name), kind)])
  return Object.fromEntries(entries) as FlagValues<Spec>
}

function splitFlag(flag: string): [name: string, value: string | undefined] {
  const equals = flag.indexOf('=')
  return equals === -1 ? [flag.slice(2), undefined] : [flag.slice(2, equals), flag.slice(equals + 1)]
}

function checkValue(
  name: string,
  value: string | undefined,
  kind: FlagKind,
  instruction: string,
  span: SourceSpan,
): string {
  if (kind !== 'boolean') {
    if (value === undefined || (kind === 'word' && value === ''))
      throw invalid(`Cannot read ${instruction}: the flag --${name} needs a value`, span)
    return value
  }
  const lower = value?.toLowerCase() ?? 'true'
  if (lower === 'true' || lower === 'false') return lower
  throw invalid(
    `Cannot read ${instruction}: the flag --${name} is ${JSON.stringify(value)}, not true or false`,
    span,
  )
}

function flagValue(given: readonly string[] | undefined, kind: FlagKind): unknown {
  if (kind === 'texts') return given ?? []
  const value = given?.[0]
  if (kind === 'boolean') return value === undefined ? undefined : value === 'true'
  return value === '' ? undefined : value
}

function unknownFlag(name: string, known: readonly string[], instruction: string, span: SourceSpan): Error {
  const nearest = suggest(name, known)
  const hint =
    known.length === 0
      ? `${instruction} has no flags`
      : didYouMean(nearest === undefined ? undefined : `--${nearest}`)
  return invalid(`Cannot read ${instruction}: unknown flag --${name}`, span, hint)
}
