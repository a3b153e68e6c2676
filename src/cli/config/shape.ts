/** What the configuration file may hold, and at which of its lines it holds something else. */
import { suggest } from '../../builder/dockerfile/suggest.ts'
import { CliError } from '../errors.ts'

/** What a key holds: a scalar, a list, a table with known keys, a table with any keys, or a list of tables. */
export type Shape =
  | 'string'
  | 'boolean'
  | 'strings'
  | 'count'
  | { readonly keys: Readonly<Record<string, Shape>> }
  | { readonly each: Shape }
  | { readonly list: Shape }

const SHAPE_NAMES = {
  string: 'a string that is not empty',
  boolean: 'true or false',
  strings: 'a list of strings',
  count: 'a whole number from 0',
} as const

/** @throws CliError `config-invalid-file`, naming the line and the nearest known key */
export function checkShape(
  value: unknown,
  shape: Shape,
  place: readonly string[],
  text: string,
  path: string,
  nth?: number,
): void {
  if (typeof shape === 'string') {
    if (!fits(value, shape)) throw invalidKey(place, text, path, `must be ${SHAPE_NAMES[shape]}`, nth)
    return
  }
  if ('list' in shape) {
    if (!Array.isArray(value)) throw invalidKey(place, text, path, `must be a list: [[${place.join('.')}]]`)
    for (const [index, item] of value.entries()) checkShape(item, shape.list, place, text, path, index)
    return
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidKey(place, text, path, 'must be a table', nth)
  for (const [key, item] of Object.entries(value)) {
    const inner = [...place, key]
    if ('each' in shape) {
      checkShape(item, shape.each, inner, text, path, nth)
      continue
    }
    const known = Object.hasOwn(shape.keys, key) ? shape.keys[key] : undefined
    if (known === undefined) {
      const nearest = suggest(key, Object.keys(shape.keys))
      const hint =
        nearest === undefined
          ? `known are ${Object.keys(shape.keys).join(', ')}`
          : `the nearest is ${nearest}`
      throw invalidKey(inner, text, path, `is not a known key; ${hint}`, nth)
    }
    checkShape(item, known, inner, text, path, nth)
  }
}

function fits(value: unknown, shape: Extract<Shape, string>): boolean {
  if (shape === 'strings') return Array.isArray(value) && value.every(item => typeof item === 'string')
  if (shape === 'count') return Number.isSafeInteger(value) && Number(value) >= 0
  return typeof value === shape && value !== ''
}

/** @param nth of the tables in a list, from 0 */
export function invalidKey(
  place: readonly string[],
  text: string,
  path: string,
  problem: string,
  nth?: number,
): CliError {
  const line = lineOf(place, text, nth)
  return new CliError(
    'config-invalid-file',
    `Cannot read configuration ${path}${line === undefined ? '' : `:${line}`}: ${place.join('.')} ${problem}`,
  )
}

/** The line of a key, from 1: below its table's header, or the header itself; undefined when it is written another way. */
function lineOf(place: readonly string[], text: string, nth?: number): number | undefined {
  const key = place.at(-1) ?? ''
  let table: readonly string[] = []
  let seen = -1
  for (const [index, line] of text.split('\n').entries()) {
    const header = /^\s*\[+\s*([^\]]+?)\s*\]+/.exec(line)?.[1]
    if (header !== undefined) {
      table = keyParts(header)
      if (/^\s*\[\[/.test(line) && table[0] === place[0]) seen++
    }
    if (nth !== undefined && seen !== nth) continue
    if (header !== undefined) {
      if (startsWith(table, place)) return index + 1
      continue
    }
    const written = /^\s*((?:"[^"]*"|'[^']*'|[^"'=\s])+)\s*=/.exec(line)?.[1]
    if (written === undefined) continue
    const whole = [...table, ...keyParts(written)]
    if (
      startsWith(whole, place) ||
      (whole.length < place.length && startsWith(place, whole) && line.includes(key))
    )
      return index + 1
  }
  return undefined
}

function keyParts(text: string): string[] {
  return Array.from(
    text.matchAll(/"([^"]*)"|'([^']*)'|([^.\s"']+)/g),
    match => match[1] ?? match[2] ?? match[3] ?? '',
  )
}

function startsWith(whole: readonly string[], start: readonly string[]): boolean {
  return start.every((part, index) => whole[index] === part)
}
