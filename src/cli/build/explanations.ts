import { isSecretName } from '../../builder/dockerfile/secret-name.ts'
import type { Explanation, Parts, Reason } from '../../builder/solve/explain.ts'
import { fitText } from '../progress/text-width.ts'
import { printableLine } from '../text/printable.ts'

/** Changes that are told of one step. */
const MAX_LINES = 12
const MAX_COLUMNS = 200

/** What `--explain` prints: every step that ran, and below it why; and the steps that other machines ran. */
export function formatExplanations(explanations: readonly Explanation[]): string {
  const [imported, executed] = partition(explanations, ({ reason }) => reason.kind === 'imported')
  const reasons = executed.length === 0 ? 'Every step was cached.\n' : `Why steps ran:\n${listed(executed)}`
  return imported.length === 0 ? reasons : `${reasons}Steps from other caches:\n${listed(imported)}`
}

function listed(explanations: readonly Explanation[]): string {
  const steps = explanations.map(({ name, reason }) => {
    const lines = reasonLines(reason)
    const shown = lines.slice(0, MAX_LINES).map(line => `    ${fitText(printableLine(line), MAX_COLUMNS)}\n`)
    const more = lines.length - MAX_LINES
    return `  ${fitText(printableLine(name), MAX_COLUMNS)}\n${shown.join('')}${more > 0 ? `    and ${more} more\n` : ''}`
  })
  return steps.join('')
}

function partition<T>(
  items: readonly T[],
  isFirst: (item: T) => boolean,
): readonly [readonly T[], readonly T[]] {
  return [items.filter(isFirst), items.filter(item => !isFirst(item))]
}

function reasonLines(reason: Reason): readonly string[] {
  switch (reason.kind) {
    case 'no-cache':
      return ['the cache was not to be used']
    case 'never-cached':
      return ['such a step is never cached']
    case 'layer-lost':
      return ['its layer is not in the store any more']
    case 'layer-elsewhere':
      return [`what it made is read, and ${reason.from} does not hold that`]
    case 'no-record':
      return ['there is no earlier record of it']
    case 'imported':
      return [`from ${reason.from}`]
    case 'changed': {
      const changes = changeLines(reason)
      if (reason.instruction === undefined) return changes
      return [`the nearest earlier record is of ${JSON.stringify(reason.instruction)}`, ...changes]
    }
  }
}

function changeLines({ before, after, parent }: Extract<Reason, { kind: 'changed' }>): readonly string[] {
  const [oldParts, newParts] = [splitParts(before), splitParts(after)]
  const names = new Set([...oldParts.definition.keys(), ...newParts.definition.keys()])
  const lines = [...names].flatMap(name => {
    const was = oldParts.definition.get(name) ?? []
    const is = newParts.definition.get(name) ?? []
    if (name === 'variable') return variableLines(was, is)
    return pairs(was, is).map(([old, now]) =>
      name === 'parent' ? parentLine(parent, old, now) : `${name}: ${wasIs(old, now, quoted)}`,
    )
  })
  lines.push(...sourceLines(oldParts.sources, newParts.sources))
  return lines.length > 0 ? lines : ['the same files and words come in another order']
}

type Values = ReadonlyMap<string, readonly string[]>

/** What the instruction says, and what it reads. */
function splitParts(parts: Parts): { readonly definition: Values; readonly sources: Values } {
  const definition: Part[] = []
  const sources: Part[] = []
  let heading: string | undefined
  let mount: string | undefined
  for (const [name, value] of parts) {
    const [, target] = (name === 'mount' && MOUNT.exec(value)) || []
    if (target !== undefined) mount = target
    if (name === 'source' && HEADING.test(value)) heading = value
    else if (heading === undefined || target !== undefined) definition.push([name, value])
    else sources.push([sourceName(name, heading, mount), value])
  }
  return { definition: byName(definition), sources: byName(sources) }
}

type Part = Parts[number]

/** Before the parts of a source. A file may be called like a part, but what is said of it is never one of these. */
const HEADING = /^(file|heredoc|directory of \d+|URL|archive of a URL|Git repository)$/
const MOUNT = /^(?:bind|cache) r[ow] (.*)$/s

function sourceName(name: string, heading: string, mount: string | undefined): string {
  if (heading === 'Git repository') return `${name} (Git repository)`
  const kind = heading.endsWith('URL') ? 'file of a URL' : 'file'
  if (mount === undefined) return `${kind} ${JSON.stringify(name)}`
  return name === ''
    ? `mount ${JSON.stringify(mount)}`
    : `file ${JSON.stringify(name)} of mount ${JSON.stringify(mount)}`
}

function byName(parts: Parts): Values {
  const found = new Map<string, string[]>()
  for (const [name, value] of parts) {
    const values = found.get(name)
    if (values === undefined) found.set(name, [value])
    else values.push(value)
  }
  return found
}

/** What differs of two lists, place by place. */
function pairs(
  was: readonly string[],
  is: readonly string[],
): readonly (readonly [old: string | undefined, now: string | undefined])[] {
  return Array.from(
    { length: Math.max(was.length, is.length) },
    (_, index) => [was[index], is[index]] as const,
  ).filter(([old, now]) => old !== now)
}

function parentLine(
  parent: Extract<Reason, { kind: 'changed' }>['parent'],
  old: string | undefined,
  now: string | undefined,
): string {
  const change = wasIs(old, now, shortened)
  if (parent === undefined) return `what it stands on: ${change}`
  return parent.kind === 'base'
    ? `the base of ${JSON.stringify(parent.name)}: ${change}`
    : `the earlier step ${JSON.stringify(parent.name)} has another result: ${change}`
}

function variableLines(was: readonly string[], is: readonly string[]): readonly string[] {
  const [old, now] = [variables(was), variables(is)]
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter(name => old.get(name) !== now.get(name))
    .map(
      name =>
        `variable ${name}: ${wasIs(old.get(name), now.get(name), isSecretName(name) ? hidden : quoted)}`,
    )
}

function variables(items: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    items.map(item => {
      const at = item.indexOf('=')
      return at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)]
    }),
  )
}

function sourceLines(was: Values, is: Values): readonly string[] {
  return [...new Set([...was.keys(), ...is.keys()])].flatMap(name =>
    pairs(was.get(name) ?? [], is.get(name) ?? []).map(([old, now]) => `${name}: ${sourceChange(old, now)}`),
  )
}

/** `file 0644 0:0 12 sha256:...`, `sha256:... 1700000000` of a URL, or one digest for what was folded together. */
function sourceChange(old: string | undefined, now: string | undefined): string {
  if (old === undefined) return 'is new'
  if (now === undefined) return 'is gone'
  const [was, is] = [old.split(' '), now.split(' ')]
  const changes = fieldsOf(was, is)
    .map((field, index) => [field, was[index], is[index]] as const)
    .filter(([, before, after]) => before !== after && was.length > 1 && is.length > 1)
    .map(([field, before, after]) => `${field} ${wasIs(before, after, shownField(field))}`)
  return changes.length > 0 ? changes.join(', ') : wasIs(old, now, shortened)
}

function fieldsOf([was = '']: readonly string[], [is = '']: readonly string[]): readonly string[] {
  if (was.startsWith('sha256:') && is.startsWith('sha256:')) return DOWNLOAD_FIELDS
  return was === 'file' && is === 'file' ? [...FIELDS, ...FILE_FIELDS] : FIELDS
}

function shownField(field: string): (value: string) => string {
  return field === LAST_MODIFIED ? shownTime : shortened
}

/** Seconds since the epoch, or `no time`. A cache of another machine may say anything. */
function shownTime(text: string): string {
  if (text === 'no') return 'not told'
  return /^\d{1,11}$/.test(text) ? new Date(Number(text) * 1000).toISOString().replace('.000Z', 'Z') : text
}

const LAST_MODIFIED = 'Last-Modified'
const DOWNLOAD_FIELDS = ['content', LAST_MODIFIED]
const FIELDS = ['type', 'mode', 'owner']
const FILE_FIELDS = ['size', 'content']

function wasIs(old: string | undefined, now: string | undefined, show: (value: string) => string): string {
  if (old === undefined) return `is new, ${show(now ?? '')}`
  if (now === undefined) return `is gone, was ${show(old)}`
  return `was ${show(old)}, is ${show(now)}`
}

function quoted(value: string): string {
  return JSON.stringify(fitText(value, 60))
}

/** Digests as people compare them. */
function shortened(value: string): string {
  return value.replace(/sha256:([0-9a-f]{12})[0-9a-f]{52}/g, 'sha256:$1')
}

function hidden(): string {
  return '(hidden)'
}
