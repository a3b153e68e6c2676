/**
 * Warnings in the order in which BuildKit finds them: of the text, of the instructions as they are read, of the names of
 * stages, of keywords, of FROM, and then of what the instructions of each stage do. Ours are found otherwise: only
 * stages that are needed are planned, and when they are.
 */
import type { PlanWarning } from './plan.ts'

/** Rules whose findings come together, by line; within a line in this order. */
const PASSES: readonly (readonly string[])[] = [
  ['NoEmptyContinuation'],
  ['StageNameCasing', 'FromAsCasing', 'InvalidDefinitionDescription', 'MaintainerDeprecated'],
  ['ReservedStageName', 'DuplicateStageName'],
  ['ConsistentInstructionCasing'],
  ['InvalidDefaultArgInFrom'],
  ['UndefinedArgInFrom', 'FromPlatformFlagConstDisallowed', 'RedundantTargetPlatform'],
  ['InvalidBaseImagePlatform'],
]
const FIRST_OF_LINE = 'UndefinedVar'
const LAST_OF_LINE = 'MultipleInstructionsDisallowed'

/** Those without a rule come last, as they were. */
export function orderWarnings(warnings: readonly PlanWarning[]): readonly PlanWarning[] {
  return warnings
    .map(warning => ({ warning, place: placeOf(warning) }))
    .toSorted((a, b) => compare(a.place, b.place))
    .map(({ warning }) => warning)
}

type Place = readonly [pass: number, line: number, withinLine: number]

function placeOf({ rule, span }: PlanWarning): Place {
  if (rule === undefined) return [PASSES.length + 1, 0, 0]
  const line = span?.startLine ?? 0
  const pass = PASSES.findIndex(rules => rules.includes(rule))
  if (pass >= 0) return [pass, line, PASSES[pass]?.indexOf(rule) ?? 0]
  return [PASSES.length, line, rule === FIRST_OF_LINE ? 0 : rule === LAST_OF_LINE ? 2 : 1]
}

function compare(a: Place, b: Place): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}
