import { COMPRESSION_LEVELS } from '../../oci/layer/compression.ts'
import type { Compression } from '../../oci/media-type.ts'
import type { Platform } from '../../oci/platform.ts'
import type { Reference } from '../../oci/reference.ts'

/** How an image is written, apart from where. */
export interface ImageSettings {
  /** Of the layers that the build made; those of the base stay as they are, unless `forceCompression`. */
  readonly compression: Compression
  /** On the scale of `COMPRESSION_LEVELS`; the compressor's default where it is absent. */
  readonly level?: number
  readonly forceCompression: boolean
  /** Whose media types the manifest has: the bytes of config and layers are the same. */
  readonly mediaTypes: 'oci' | 'docker'
  /** Names of this output, beside those of the build. */
  readonly names: readonly Reference[]
  readonly annotations: readonly Annotation[]
  /** Whether no file of a new layer is younger than SOURCE_DATE_EPOCH. */
  readonly rewriteTimestamp: boolean
}

/** Where an annotation stands: in a document, or on the descriptor that points at it. */
export const ANNOTATION_LEVELS = ['manifest', 'index', 'manifest-descriptor', 'index-descriptor'] as const
export type AnnotationLevel = (typeof ANNOTATION_LEVELS)[number]

export interface Annotation {
  readonly level: AnnotationLevel
  /** Only for the image of this platform. */
  readonly platform?: Platform
  readonly key: string
  readonly value: string
}

export const DEFAULT_IMAGE_SETTINGS: ImageSettings = {
  compression: 'gzip',
  forceCompression: false,
  mediaTypes: 'oci',
  names: [],
  annotations: [],
  rewriteTimestamp: true,
}

/** What to convert a layer to. A level that is the compressor's own is none, so that the layer itself will do. */
export function wantedCompression({
  compression,
  level,
}: ImageSettings): Pick<ImageSettings, 'compression' | 'level'> {
  const isOwn = level === undefined || level === COMPRESSION_LEVELS[compression]?.default
  return isOwn ? { compression } : { compression, level }
}
