/** What `-o` says of how an image is written: `compression=zstd,oci-mediatypes=false,name=app:2`. */
import {
  ANNOTATION_LEVELS,
  type Annotation,
  DEFAULT_IMAGE_SETTINGS,
  type ImageSettings,
} from '../../builder/export/image-settings.ts'
import { COMPRESSION_LEVELS } from '../../oci/layer/compression.ts'
import type { Compression } from '../../oci/media-type.ts'
import { type Platform, parsePlatform } from '../../oci/platform.ts'
import { parseReference, repositoryOf } from '../../oci/reference.ts'
import type { Refuse } from '../command.ts'

/** Keys of an output that are about the image; `annotation.KEY` and the like come on top. */
export const IMAGE_SETTING_KEYS: readonly string[] = [
  'name',
  'compression',
  'compression-level',
  'force-compression',
  'oci-mediatypes',
  'rewrite-timestamp',
]

export function isImageSettingKey(key: string): boolean {
  return IMAGE_SETTING_KEYS.includes(key) || ANNOTATION_KEY.test(key)
}

/** Undefined where nothing is said. */
export function readImageSettings(
  fields: ReadonlyMap<string, string>,
  host: Platform,
  refuse: Refuse,
): ImageSettings | undefined {
  if (![...fields.keys()].some(isImageSettingKey)) return undefined
  const flag = (key: string, otherwise: boolean): boolean => readFlag(fields, key, otherwise, refuse)
  const compression = readCompression(fields.get('compression'), refuse)
  const level = readLevel(fields.get('compression-level'), compression, refuse)
  const annotations = [...fields].flatMap(([key, value]) => readAnnotation(key, value, host, refuse))
  const mediaTypes = flag('oci-mediatypes', true) ? 'oci' : 'docker'
  if (mediaTypes === 'docker' && annotations.length > 0)
    throw refuse('--output oci-mediatypes=false: annotations need OCI media types')
  return {
    compression,
    ...(level !== undefined && { level }),
    forceCompression: flag('force-compression', DEFAULT_IMAGE_SETTINGS.forceCompression),
    mediaTypes,
    names: readNames(fields.get('name'), refuse),
    annotations,
    rewriteTimestamp: flag('rewrite-timestamp', DEFAULT_IMAGE_SETTINGS.rewriteTimestamp),
  }
}

const COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  ['gzip', 'gzip'],
  ['zstd', 'zstd'],
  ['uncompressed', 'none'],
])

function readCompression(given: string | undefined, refuse: Refuse): Compression {
  if (given === undefined) return DEFAULT_IMAGE_SETTINGS.compression
  const known = COMPRESSIONS.get(given)
  if (known !== undefined) return known
  if (given === 'estargz')
    throw refuse('--output compression=estargz is not supported: zstd is small, and every engine reads it')
  throw refuse(
    `--output compression= is ${[...COMPRESSIONS.keys()].join(', ')}, not ${JSON.stringify(given)}`,
  )
}

function readLevel(given: string | undefined, compression: Compression, refuse: Refuse): number | undefined {
  if (given === undefined) return undefined
  const levels = COMPRESSION_LEVELS[compression]
  if (levels === undefined) throw refuse('--output compression-level= needs gzip or zstd')
  const level = /^\d{1,2}$/.test(given) ? Number(given) : -1
  if (level >= levels.min && level <= levels.max) return level
  const range = `${levels.min} to ${levels.max}`
  throw refuse(`--output compression-level= of ${compression} is ${range}, not ${JSON.stringify(given)}`)
}

function readNames(given: string | undefined, refuse: Refuse): ImageSettings['names'] {
  const names = (given ?? '').split(',').filter(Boolean).map(parseReference)
  const pinned = names.find(({ digest }) => digest !== undefined)
  if (pinned === undefined) return names
  throw refuse(`--output name=${repositoryOf(pinned)}@${pinned.digest}: the digest is the build's to find`)
}

/** `annotation[-LEVEL][[PLATFORM]].KEY` */
const ANNOTATION_KEY = /^annotation(?:-([a-z-]+))?(?:\[([^\]]*)\])?\.(.+)$/

function readAnnotation(key: string, value: string, host: Platform, refuse: Refuse): readonly Annotation[] {
  const found = ANNOTATION_KEY.exec(key)
  if (found === null) return []
  const [, named = 'manifest', platform, name = ''] = found
  const level = ANNOTATION_LEVELS.find(known => known === named)
  if (level === undefined)
    throw refuse(`--output ${key}: annotations are of ${ANNOTATION_LEVELS.join(', ')}, not ${named}`)
  const parsed = platform === undefined ? {} : { platform: parsePlatform(platform, host) }
  return [{ level, key: name, value, ...parsed }]
}

function readFlag(
  fields: ReadonlyMap<string, string>,
  key: string,
  otherwise: boolean,
  refuse: Refuse,
): boolean {
  const given = fields.get(key)
  if (given === undefined) return otherwise
  const read = parseBoolean(given)
  if (read !== undefined) return read
  throw refuse(`--output ${key}= takes true or false, not ${JSON.stringify(given)}`)
}

/** As Go reads them. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(true|1|t)$/i.test(text)) return true
  return /^(false|0|f)$/i.test(text) ? false : undefined
}
