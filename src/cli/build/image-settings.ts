/** What `-o` says of how an image is written: `compression=zstd,oci-mediatypes=false,name=app:2`. */
import {
  ANNOTATION_LEVELS,
  type Annotation,
  DEFAULT_IMAGE_SETTINGS,
  type ImageSettings,
} from '../../builder/export/image-settings.ts'
import { type Platform, parsePlatform } from '../../oci/platform.ts'
import { parseReference, repositoryOf } from '../../oci/reference.ts'
import type { Refuse } from '../command.ts'
import { readBooleanField } from './boolean-field.ts'
import { readCompression, readCompressionLevel } from './compression-fields.ts'

/** Keys of an output that are about the image; `annotation.KEY` and the like come on top. */
const IMAGE_SETTING_KEYS: readonly string[] = [
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
  const flag = (key: string, otherwise: boolean): boolean =>
    readBooleanField('--output', fields, key, otherwise, refuse)
  const compression =
    readCompression('--output', fields.get('compression'), refuse) ?? DEFAULT_IMAGE_SETTINGS.compression
  const level = readCompressionLevel('--output', fields.get('compression-level'), compression, refuse)
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
