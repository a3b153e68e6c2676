import { resolve } from 'node:path'
import { parseCsvRecord } from '../../builder/dockerfile/csv.ts'
import { isImageOutput, type Output } from '../../builder/export/output.ts'
import { platformOfHost } from '../../oci/platform.ts'
import type { Refuse } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { readBooleanField } from './boolean-field.ts'
import { isImageSettingKey, readImageSettings } from './image-settings.ts'

const KEYS: Readonly<Record<string, readonly string[]>> = {
  store: [],
  image: ['push', 'push-by-digest', 'name-canonical', 'store', 'unpack', 'registry.insecure'],
  registry: ['push', 'push-by-digest', 'name-canonical', 'store', 'unpack', 'registry.insecure'],
  cacheonly: [],
  oci: ['dest', 'tar'],
  docker: ['dest', 'tar'],
  local: ['dest', 'platform-split', 'mode'],
  tar: ['dest', 'platform-split'],
}

/** Of BuildKit. */
const REFUSED_KEYS: Readonly<Record<string, string>> = {
  'attestation-inline': 'attestations are manifests beside an image',
  'attestation-prefix': 'attestations are manifests beside an image, and no files',
  'dangling-name-prefix': 'an image without a name is known by its digest',
  'oci-artifact': 'attestations are images, as engines of every age read them',
  'prefer-nondist-layers': 'what is written has all of its layers',
}

/**
 * `type=oci,dest=FILE[,tar=false]` and so on; `DIR` alone means `type=local,dest=DIR`, and `-` alone
 * `type=tar,dest=-`, as for `docker build`. `image` is the store by Docker's name, and `registry` an image to be pushed.
 */
export function parseOutputs(
  texts: readonly string[],
  terminal: Terminal,
  refuse: Refuse,
): readonly Output[] {
  const outputs = texts.map(text => parseOutput(text, terminal, refuse))
  const toStdout = outputs.filter(output => 'dest' in output && output.dest === terminal.stdout)
  if (toStdout.length > 1) throw refuse('only one --output can be standard output')
  if (toStdout.length === 1 && terminal.stdout.isTTY === true) {
    throw refuse('will not write an archive to a terminal: redirect standard output or give dest=FILE')
  }
  return outputs
}

function parseOutput(text: string, terminal: Terminal, refuse: Refuse): Output {
  if (text === '-') return { type: 'tar', dest: terminal.stdout }
  if (!text.includes('=')) return { type: 'local', dest: resolve(terminal.workingDirectory, text) }
  const fields = parseFields(text, refuse)
  const type = fields.get('type')
  if (type === undefined) throw refuse(`--output ${JSON.stringify(text)} names no type=`)
  const known = Object.hasOwn(KEYS, type) ? KEYS[type] : undefined
  if (known === undefined) throw refuse(`--output type=${type} is not one of ${Object.keys(KEYS).join(', ')}`)
  const isImage = ['store', 'image', 'registry', 'oci', 'docker'].includes(type)
  for (const key of fields.keys()) {
    const isKnown = known.includes(key) || (isImage && isImageSettingKey(key))
    const reason = Object.hasOwn(REFUSED_KEYS, key) ? REFUSED_KEYS[key] : undefined
    if (reason !== undefined) throw refuse(`--output ${key}= is not supported: ${reason}`)
    if (key !== 'type' && !isKnown) throw refuse(`--output type=${type} does not take ${key}=`)
  }
  const host = platformOfHost(terminal.platform, terminal.arch)
  const settings = isImage ? readImageSettings(fields, host, refuse) : undefined
  if (type === 'store' || type === 'image' || type === 'registry')
    return { type: 'store', ...(settings && { settings }), ...readPush(type, fields, refuse) }
  if (type === 'cacheonly') return { type }
  const output = withDestination(type as 'oci' | 'docker' | 'local' | 'tar', fields, terminal, refuse)
  return settings === undefined || !isImageOutput(output) ? output : { ...output, settings }
}

function withDestination(
  type: 'oci' | 'docker' | 'local' | 'tar',
  fields: ReadonlyMap<string, string>,
  terminal: Terminal,
  refuse: Refuse,
): Output {
  const asTar = readBooleanField('--output', fields, 'tar', true, refuse)
  const isStream = asTar && (type === 'oci' || type === 'tar')
  const named = fields.get('dest') || (isStream ? '-' : '')
  if (named === '') throw refuse(`--output type=${type} needs dest=`)
  if ((fields.get('mode') ?? 'copy') !== 'copy')
    throw refuse(`--output mode=${fields.get('mode')} is not supported: what was in the directory stays`)
  const path = resolve(terminal.workingDirectory, named)
  const isSplit = readBooleanField('--output', fields, 'platform-split', true, refuse)
  const split = fields.has('platform-split') ? { split: isSplit } : {}
  if (type === 'local' || !asTar) {
    if (named === '-') throw refuse(`--output type=${type} writes a directory: dest cannot be -`)
    return type === 'local' || type === 'tar'
      ? { type: 'local', dest: path, ...split }
      : { type, tar: false, dest: path }
  }
  const dest = named === '-' ? terminal.stdout : path
  return type === 'tar' ? { type, dest, ...split } : { type, tar: true, dest }
}

/** The store has every image, with its digest beside its name, and unpacks what a step needs: these keys change nothing. */
function readPush(
  type: string,
  fields: ReadonlyMap<string, string>,
  refuse: Refuse,
): { readonly push?: 'by-tag' | 'by-digest' } {
  const flag = (key: string, otherwise: boolean): boolean =>
    readBooleanField('--output', fields, key, otherwise, refuse)
  if (!flag('store', true)) throw refuse('--output store=false: what is pushed is kept in the store first')
  if (flag('registry.insecure', false))
    throw refuse(
      '--output registry.insecure=true: say it of the registry in slipway.toml, with http or insecure',
    )
  flag('unpack', true)
  flag('name-canonical', true)
  const byDigest = flag('push-by-digest', false)
  if (!flag('push', type === 'registry' || byDigest)) return {}
  return { push: byDigest ? 'by-digest' : 'by-tag' }
}

function parseFields(text: string, refuse: Refuse): ReadonlyMap<string, string> {
  const fields = parseCsvRecord(text)
  if (fields === undefined)
    throw refuse(
      `--output ${JSON.stringify(text)} has a quote that is not closed, or not around a whole field`,
    )
  const found = new Map<string, string>()
  for (const field of fields) {
    const equals = field.indexOf('=')
    if (equals < 0)
      throw refuse(`--output ${JSON.stringify(text)}: ${JSON.stringify(field)} is not key=value`)
    found.set(keyOf(field.slice(0, equals).trim()), field.slice(equals + 1).trim())
  }
  return found
}

/** Case counts in the keys of annotations alone. */
function keyOf(text: string): string {
  const dot = text.indexOf('.')
  return dot < 0 ? text.toLowerCase() : text.slice(0, dot).toLowerCase() + text.slice(dot)
}
