/**
 * What an output writes: the documents of one image, or of several under an index, over layers that are stored.
 */
import { type Descriptor, describeBytes } from '../../oci/descriptor.ts'
import { indexBytes } from '../../oci/manifest.ts'
import { MEDIA_TYPE } from '../../oci/media-type.ts'
import { formatPlatform, type Platform } from '../../oci/platform.ts'
import type { BuiltImage } from './assemble.ts'
import type { Annotation, AnnotationLevel, ImageSettings } from './image-settings.ts'

export interface Document {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

export interface ImageGraph {
  /** Of an image manifest, or of an index. */
  readonly root: Descriptor
  /** Children before what points at them. */
  readonly documents: readonly Document[]
  /** In the order of the index. */
  readonly images: readonly BuiltImage[]
}

/** An image with what is said of it: manifests of their own, which only an index can hold. */
export interface AttestedImage {
  readonly image: BuiltImage
  readonly platform: Platform
  /** Each with the documents it needs before it. */
  readonly attestations: readonly { readonly manifest: Descriptor; readonly documents: readonly Document[] }[]
}

/**
 * One image without attestations is its manifest; all else is an index, the images first.
 * @param asIndex makes an index of a single image too
 */
export function createImageGraph(
  images: readonly AttestedImage[],
  { annotations, mediaTypes }: Pick<ImageSettings, 'annotations' | 'mediaTypes'>,
  asIndex = false,
): ImageGraph {
  const documents = images.flatMap(({ image, attestations }) => [
    image.config,
    image.manifest,
    ...attestations.flatMap(attestation => attestation.documents),
  ])
  const built = images.map(({ image }) => image)
  const [only] = images
  const needsIndex = asIndex || images.some(({ attestations }) => attestations.length > 0)
  if (only !== undefined && images.length === 1 && !needsIndex) {
    const root = annotated(only.image.manifest.descriptor, annotations, 'manifest-descriptor', only.platform)
    return { root, documents, images: built }
  }
  const mediaType = mediaTypes === 'docker' ? MEDIA_TYPE.dockerList : MEDIA_TYPE.ociIndex
  const own = annotationsOf(annotations, 'index')
  const bytes = indexBytes({
    mediaType,
    manifests: [
      ...images.map(({ image, platform }) =>
        annotated({ ...image.manifest.descriptor, platform }, annotations, 'manifest-descriptor', platform),
      ),
      ...images.flatMap(({ attestations }) => attestations.map(({ manifest }) => manifest)),
    ],
    ...(own !== undefined && { annotations: own }),
  })
  const descriptor = describeBytes(mediaType, bytes)
  return {
    root: annotated(descriptor, annotations, 'index-descriptor'),
    documents: [...documents, { descriptor, bytes }],
    images: built,
  }
}

/** Those of one place, sorted by key; the last of a key counts. Undefined for none. */
export function annotationsOf(
  annotations: readonly Annotation[],
  level: AnnotationLevel,
  platform?: Platform,
): Readonly<Record<string, string>> | undefined {
  const found = new Map(
    annotations
      .filter(annotation => annotation.level === level && concerns(annotation, platform))
      .map(({ key, value }) => [key, value]),
  )
  if (found.size === 0) return undefined
  return Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function concerns(annotation: Annotation, platform: Platform | undefined): boolean {
  if (annotation.platform === undefined) return true
  return platform !== undefined && formatPlatform(annotation.platform) === formatPlatform(platform)
}

function annotated(
  descriptor: Descriptor,
  annotations: readonly Annotation[],
  level: AnnotationLevel,
  platform?: Platform,
): Descriptor {
  const own = annotationsOf(annotations, level, platform)
  return own === undefined ? descriptor : { ...descriptor, annotations: own }
}
