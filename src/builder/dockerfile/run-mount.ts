import { parseCsvRecord } from './csv.ts'
import { parseGoBoolean } from './go-boolean.ts'
import { didYouMean, invalid } from './invalid.ts'
import type { SourceSpan } from './source.ts'
import { suggest } from './suggest.ts'

/** One `--mount` of RUN (semantics 66-68). Defaults that depend on the step are left to it. */
export interface RunMount {
  readonly type: 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh'
  /** A stage, a named context or an image. */
  readonly from?: string
  readonly source?: string
  readonly target?: string
  /** Of a cache, a secret or an ssh socket. */
  readonly id?: string
  readonly readOnly: boolean
  readonly required: boolean
  readonly sharing?: 'shared' | 'private' | 'locked'
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Of a tmpfs, in bytes. */
  readonly size?: number
  /** The variable that a secret becomes. */
  readonly env?: string
}

/**
 * Checks what can be known of a `--mount` before variables expand: `from` has none (semantics 8).
 * @throws BuildError `dockerfile-invalid`
 */
export function checkMountText(text: string, span: SourceSpan): void {
  for (const [key, value = ''] of readFields(text, span)) {
    if (key !== 'from' || !/\$./.test(value)) continue
    throw invalid(
      `Cannot mount from ${JSON.stringify(value)}: variables do not expand in "from"`,
      span,
      'write "FROM <image with variables> AS <name>" and mount from that name',
    )
  }
}

/**
 * Reads a `--mount`.
 * @param expand expands a variable in a value
 * @throws BuildError `dockerfile-invalid`
 */
export function parseRunMount(text: string, expand: (value: string) => string, span: SourceSpan): RunMount {
  const fields = readFields(text, span).map(
    ([key, value]): Field => [key, value === undefined || key === 'from' ? value : expand(value)],
  )
  const type = readType(fields, span)
  const refuse = (state: string) => invalid(`Cannot mount ${JSON.stringify(text)}: ${state}`, span)
  const draft: Draft = {}
  for (const [key, value] of fields) readField(draft, key, value, type, refuse)
  checkSecret(draft, type, refuse)
  const readOnly = draft.readOnly ?? (type !== 'cache' && type !== 'tmpfs')
  return { ...draft, type, readOnly, required: draft.required ?? false }
}

type Field = readonly [key: string, value: string | undefined]
type Refuse = (state: string) => Error
type Draft = { -readonly [Key in Exclude<keyof RunMount, 'type'>]?: RunMount[Key] }

const TYPES = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const
const SHARINGS = ['shared', 'private', 'locked'] as const
const OWNED: readonly string[] = ['cache', 'secret', 'ssh']

/** Keys by the property they set. */
const KEYS: Readonly<Record<string, keyof RunMount>> = {
  type: 'type',
  from: 'from',
  source: 'source',
  src: 'source',
  target: 'target',
  dst: 'target',
  destination: 'target',
  id: 'id',
  readonly: 'readOnly',
  ro: 'readOnly',
  readwrite: 'readOnly',
  rw: 'readOnly',
  required: 'required',
  sharing: 'sharing',
  mode: 'mode',
  uid: 'uid',
  gid: 'gid',
  size: 'size',
  env: 'env',
}

/** Types that a key is for; a key that is not here is for all. */
const KEY_TYPES: Readonly<Record<string, readonly string[]>> = {
  required: ['secret', 'ssh'],
  size: ['tmpfs'],
  sharing: ['cache'],
  env: ['secret'],
  mode: OWNED,
  uid: OWNED,
  gid: OWNED,
}

function readFields(text: string, span: SourceSpan): readonly Field[] {
  const record = parseCsvRecord(text)
  if (record === undefined)
    throw invalid(`Cannot mount ${JSON.stringify(text)}: its quotes are not those of a CSV line`, span)
  return record.map(field => {
    const equals = field.indexOf('=')
    return equals === -1
      ? [field.toLowerCase(), undefined]
      : [field.slice(0, equals).toLowerCase(), field.slice(equals + 1)]
  })
}

function readType(fields: readonly Field[], span: SourceSpan): RunMount['type'] {
  const value = fields.findLast(([key]) => key === 'type')?.[1]
  if (value === undefined) return 'bind'
  const type = TYPES.find(name => name === value.toLowerCase())
  if (type !== undefined) return type
  throw invalid(
    `Cannot mount the type ${JSON.stringify(value)}: it is none of ${TYPES.join(', ')}`,
    span,
    didYouMean(suggest(value, TYPES)),
  )
}

function readField(draft: Draft, key: string, value: string | undefined, type: string, refuse: Refuse): void {
  const property = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
  if (property === undefined) {
    const nearest = suggest(key, Object.keys(KEYS))
    throw refuse(
      `unknown key ${JSON.stringify(key)}${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`,
    )
  }
  if (KEY_TYPES[key]?.includes(type) === false) throw refuse(`${key} is not for a mount of type ${type}`)
  if (property === 'readOnly' || property === 'required') {
    const isTrue = readBoolean(key, value, refuse)
    draft[property] = key === 'rw' || key === 'readwrite' ? !isTrue : isTrue
    return
  }
  if (value === undefined) throw refuse(`${key} needs a value`)
  if (property === 'mode') draft.mode = readNumber(key, value, 8, refuse)
  else if (property === 'uid' || property === 'gid') draft[property] = readNumber(key, value, 10, refuse)
  else if (property === 'size') draft.size = readSize(value, refuse)
  else if (property === 'sharing') draft.sharing = readSharing(value, refuse)
  else if (property !== 'type' && value !== '') draft[property] = value
}

function checkSecret({ from, source, target, id }: Draft, type: string, refuse: Refuse): void {
  if (type !== 'secret') return
  if (from !== undefined) throw refuse('a secret has no from')
  if (source === undefined && target === undefined && id === undefined)
    throw refuse('a secret needs an id or a target')
  if (source !== undefined && id !== undefined) throw refuse('a secret has a source or an id, not both')
}

/** Without a value it is true. */
function readBoolean(key: string, value: string | undefined, refuse: Refuse): boolean {
  const read = value === undefined ? true : parseGoBoolean(value)
  if (read !== undefined) return read
  throw refuse(`${key} is ${JSON.stringify(value)}, not true or false`)
}

function readNumber(key: string, value: string, base: 8 | 10, refuse: Refuse): number {
  const number = (base === 8 ? /^[0-7]+$/ : /^\d+$/).test(value) ? Number.parseInt(value, base) : Number.NaN
  if (number < 2 ** 32) return number
  throw refuse(`${key} is ${JSON.stringify(value)}, want ${base === 8 ? 'an octal' : 'a'} number`)
}

function readSize(value: string, refuse: Refuse): number {
  const match = /^(\d{1,18}(?:\.\d{1,9})?) ?([kmgtp]?)(?:i?b)?$/i.exec(value)
  const [, number = '', unit = ''] = match ?? []
  const size = Math.floor(Number(number) * 1024 ** ' kmgtp'.indexOf(unit.toLowerCase() || ' '))
  if (match !== null && Number.isSafeInteger(size)) return size
  throw refuse(`size is ${JSON.stringify(value)}, want bytes like 64m`)
}

function readSharing(value: string, refuse: Refuse): (typeof SHARINGS)[number] {
  const sharing = SHARINGS.find(name => name === value.toLowerCase())
  if (sharing !== undefined) return sharing
  throw refuse(`sharing is ${JSON.stringify(value)}, none of ${SHARINGS.join(', ')}`)
}
