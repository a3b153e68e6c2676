/** `--cache-from` and `--cache-to`, in the words of `docker buildx build`. */
import { resolve } from 'node:path'
import type { CacheMode, CacheMountChoice, CacheSource, CacheTarget } from '../../builder/cache/cache-end.ts'
import { parseCsvRecord } from '../../builder/dockerfile/csv.ts'
import { parseGoBoolean } from '../../builder/dockerfile/go-boolean.ts'
import { isDigest } from '../../oci/digest.ts'
import type { Compression } from '../../oci/media-type.ts'
import { isTag, LATEST, parseReference, type Reference, type Tag } from '../../oci/reference.ts'
import type { Refuse } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { readBooleanField } from './boolean-field.ts'
import { readCompression, readCompressionLevel } from './compression-fields.ts'

type Directory = Pick<Terminal, 'workingDirectory'>

const WHERE = 'type=registry, type=local'
const FROM_KEYS: Readonly<Record<string, readonly string[]>> = {
  registry: ['ref', 'cache-mounts'],
  local: ['src', 'tag', 'digest', 'cache-mounts'],
}
const FORM_KEYS = [
  'mode',
  'ignore-error',
  'image-manifest',
  'oci-artifact',
  'oci-mediatypes',
  'compression',
  'compression-level',
  'force-compression',
  'cache-mounts',
]
const TO_KEYS: Readonly<Record<string, readonly string[]>> = {
  registry: ['ref', ...FORM_KEYS],
  local: ['dest', 'tag', ...FORM_KEYS],
  inline: ['mode'],
}
const ELSEWHERE: Readonly<Record<string, string>> = {
  gha: "it is a service within GitHub's runners whose protocol is not open",
  s3: 'it needs the storage of one vendor',
  azblob: 'it needs the storage of one vendor',
}

/** Several `NAME`s, or one `type=...`; see the help of build. @throws what `refuse` makes */
export function parseCacheSources(
  given: readonly string[],
  { workingDirectory }: Directory,
  refuse: Refuse,
): readonly CacheSource[] {
  return given.flatMap((text): readonly CacheSource[] => {
    const { type, fields, names } = readEnd(text, '--cache-from', FROM_KEYS, refuse)
    if (names !== undefined) return names.map(name => ({ type: 'registry', reference: parseReference(name) }))
    const mounts = mountsOf(fields)
    if (type === 'registry')
      return [{ type, reference: referenceOf(fields, '--cache-from', refuse), ...mounts }]
    const src = needed(fields, 'src', '--cache-from type=local', refuse)
    const digest = fields.get('digest')
    if (digest !== undefined && !isDigest(digest))
      throw refuse(`--cache-from digest=${JSON.stringify(digest)} is not a digest`)
    const name = digest === undefined ? { tag: tagOf(fields, '--cache-from', refuse) } : { digest }
    return [{ type: 'local', directory: resolve(workingDirectory, src), name, ...mounts }]
  })
}

/** @throws what `refuse` makes */
export function parseCacheTargets(
  given: readonly string[],
  { workingDirectory }: Directory,
  refuse: Refuse,
): readonly CacheTarget[] {
  return given.flatMap((text): readonly CacheTarget[] => {
    const { type, fields, names } = readEnd(text, '--cache-to', TO_KEYS, refuse)
    const form = readForm(fields, refuse)
    if (names !== undefined)
      return names.map(name => ({
        type: 'registry',
        reference: unpinned(parseReference(name), refuse),
        ...form,
      }))
    if (type === 'inline') return [{ type }]
    if (type === 'registry')
      return [{ type, reference: unpinned(referenceOf(fields, '--cache-to', refuse), refuse), ...form }]
    const dest = needed(fields, 'dest', '--cache-to type=local', refuse)
    const tag = tagOf(fields, '--cache-to', refuse)
    return [{ type: 'local', directory: resolve(workingDirectory, dest), tag, ...form }]
  })
}

interface End {
  readonly type: string
  readonly fields: ReadonlyMap<string, string>
  /** Of the short form. */
  readonly names?: readonly string[]
}

function readEnd(
  text: string,
  option: string,
  keys: Readonly<Record<string, readonly string[]>>,
  refuse: Refuse,
): End {
  const record = parseCsvRecord(text)
  if (record === undefined)
    throw refuse(`${option} ${JSON.stringify(text)}: its quotes are not those of a CSV line`)
  if (record.every(field => !field.includes('=')))
    return { type: 'registry', fields: new Map(), names: record }
  const fields = new Map<string, string>()
  for (const field of record) {
    const equals = field.indexOf('=')
    if (equals < 1) throw refuse(`${option}: ${JSON.stringify(field)} is not KEY=VALUE`)
    fields.set(field.slice(0, equals).toLowerCase(), field.slice(equals + 1))
  }
  const type = fields.get('type')
  if (type === undefined) throw refuse(`${option} ${JSON.stringify(text)} names no type=`)
  const reason = Object.hasOwn(ELSEWHERE, type) ? ELSEWHERE[type] : undefined
  if (reason !== undefined)
    throw refuse(`${option} type=${type} is not supported: ${reason}; there is ${WHERE}`)
  const known = Object.hasOwn(keys, type) ? keys[type] : undefined
  if (known === undefined)
    throw refuse(`${option} type=${type} is not one of ${Object.keys(keys).join(', ')}`)
  for (const key of fields.keys())
    if (key !== 'type' && !known.includes(key)) throw refuse(`${option} type=${type} does not take ${key}=`)
  return { type, fields }
}

interface Form {
  readonly mode: CacheMode
  readonly ignoresErrors: boolean
  readonly compression?: Compression
  readonly compressionLevel?: number
  readonly cacheMounts?: CacheMountChoice
}

/** A cache of ours is an OCI manifest always: what chooses between forms of BuildKit's is read, and means nothing. */
function readForm(fields: ReadonlyMap<string, string>, refuse: Refuse): Form {
  const mode = fields.get('mode') ?? 'min'
  if (mode !== 'min' && mode !== 'max')
    throw refuse(`--cache-to mode=${JSON.stringify(mode)} is neither min nor max`)
  const isOn = (key: string): boolean => readBooleanField('--cache-to', fields, key, false, refuse)
  for (const key of ['image-manifest', 'oci-artifact', 'oci-mediatypes', 'force-compression']) isOn(key)
  const compression = readCompression('--cache-to', fields.get('compression'), refuse)
  const given = fields.get('compression-level')
  const compressionLevel = readCompressionLevel('--cache-to', given, compression, refuse)
  return {
    mode,
    ignoresErrors: isOn('ignore-error'),
    ...(compression !== undefined && { compression }),
    ...(compressionLevel !== undefined && { compressionLevel }),
    ...mountsOf(fields),
  }
}

/** `true`, `false`, or ids with commas between (the field is then in quotes). */
function mountsOf(fields: ReadonlyMap<string, string>): { readonly cacheMounts?: CacheMountChoice } {
  const text = fields.get('cache-mounts') ?? ''
  const flag = text === '' ? false : parseGoBoolean(text)
  if (flag === false) return {}
  return { cacheMounts: flag === true ? 'all' : new Set(text.split(',')) }
}

function referenceOf(fields: ReadonlyMap<string, string>, option: string, refuse: Refuse): Reference {
  return parseReference(needed(fields, 'ref', `${option} type=registry`, refuse))
}

function unpinned(reference: Reference, refuse: Refuse): Reference {
  if (reference.digest === undefined) return reference
  throw refuse(`--cache-to ref=...@${reference.digest}: the digest is the build's to find`)
}

function tagOf(fields: ReadonlyMap<string, string>, option: string, refuse: Refuse): Tag {
  const tag = fields.get('tag') ?? LATEST
  if (isTag(tag)) return tag
  throw refuse(`${option} tag=${JSON.stringify(tag)} is not a tag`)
}

function needed(fields: ReadonlyMap<string, string>, key: string, what: string, refuse: Refuse): string {
  const value = fields.get(key)
  if (value === undefined || value === '') throw refuse(`${what} needs ${key}=`)
  return value
}
