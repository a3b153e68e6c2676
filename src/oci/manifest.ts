import { type Descriptor, parseDescriptor } from './descriptor.ts'
import { OciError } from './errors.ts'
import { describeJson, isJsonObject, isStringMap, type JsonObject, jsonBytes, parseJson } from './json.ts'
import { isImageManifest, isIndex, MANIFEST_MEDIA_TYPES, MEDIA_TYPE } from './media-type.ts'

/** Manifests beyond this are refused everywhere (distribution-spec "Pushing Manifests": at least 4 MiB). */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

interface ManifestCommon {
  readonly mediaType: string
  readonly artifactType?: string
  readonly subject?: Descriptor
  readonly annotations?: Readonly<Record<string, string>>
}

/** One image, or an artifact in the form of one (image-spec `manifest.md`; Docker schema 2 has the same shape). */
export interface ImageManifest extends ManifestCommon {
  readonly kind: 'image'
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
}

/** A list of manifests, one per platform (image-spec `image-index.md`; Docker's manifest list). */
export interface ImageIndex extends ManifestCommon {
  readonly kind: 'index'
  readonly manifests: readonly Descriptor[]
}

/** A view of manifest bytes. Never serialize it again to hash, store or serve: keep the bytes. */
export type Manifest = ImageManifest | ImageIndex

/**
 * @param mediaType what the transport said (`Content-Type`, descriptor); undefined takes the document's own word
 * @throws OciError `manifest-invalid` with what is wrong and, for Docker's schema 1, what to do
 */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES)
    throw invalid(`${bytes.length} bytes are more than ${MAX_MANIFEST_BYTES}`)
  const value = parseJson(bytes)
  if (!isJsonObject(value)) throw invalid('not a JSON object')
  if (value.schemaVersion === 1) {
    throw invalid(
      'Docker image manifest schema 1 is no longer supported; push it again with a client of 2017 or newer',
    )
  }
  if (value.schemaVersion !== 2)
    throw invalid(`schemaVersion is ${describeJson(value.schemaVersion)}, want 2`)
  const type = mediaTypeOf(value, mediaType)
  const common = parseCommon(value, type)
  if (isIndex(type)) {
    if ('layers' in value || 'config' in value) throw invalid('an index must not have config or layers')
    return { kind: 'index', ...common, manifests: descriptors(value.manifests, 'manifests') }
  }
  if ('manifests' in value) throw invalid('an image manifest must not have manifests')
  return {
    kind: 'image',
    ...common,
    config: parseDescriptor(value.config, 'config'),
    layers: descriptors(value.layers, 'layers'),
  }
}

/** The bytes of an image manifest of ours; the order of keys is fixed, so that equal images have equal bytes. */
export function imageManifestBytes(manifest: Omit<ImageManifest, 'kind'>): Buffer {
  const { mediaType, artifactType, config, layers, subject, annotations } = manifest
  return jsonBytes({ schemaVersion: 2, mediaType, artifactType, config, layers, subject, annotations })
}

/** The bytes of an index of ours. */
export function indexBytes(index: Omit<ImageIndex, 'kind'>): Buffer {
  const { mediaType, artifactType, manifests, subject, annotations } = index
  return jsonBytes({ schemaVersion: 2, mediaType, artifactType, manifests, subject, annotations })
}

function mediaTypeOf(value: JsonObject, told: string | undefined): string {
  const own = value.mediaType
  if (own !== undefined && typeof own !== 'string') throw invalid('mediaType is not a string')
  if (told !== undefined && own !== undefined && told !== own)
    throw invalid(`it says ${describeJson(own)}, but was sent as ${describeJson(told)}`)
  const type = told ?? own ?? ('manifests' in value ? MEDIA_TYPE.ociIndex : MEDIA_TYPE.ociManifest)
  if (isImageManifest(type) || isIndex(type)) return type
  throw invalid(`media type ${describeJson(type)} is not one of ${MANIFEST_MEDIA_TYPES.join(', ')}`)
}

function parseCommon(value: JsonObject, mediaType: string): ManifestCommon {
  const { artifactType, subject, annotations } = value
  if (annotations !== undefined && annotations !== null && !isStringMap(annotations))
    throw invalid('annotations must map strings to strings')
  return {
    mediaType,
    ...(typeof artifactType === 'string' && artifactType !== '' && { artifactType }),
    ...(subject !== undefined && subject !== null && { subject: parseDescriptor(subject, 'subject') }),
    ...(isStringMap(annotations) && { annotations }),
  }
}

function descriptors(value: unknown, where: string): readonly Descriptor[] {
  if (!Array.isArray(value)) throw invalid(`${where} is not an array`)
  return value.map((item, index) => parseDescriptor(item, `${where}[${index}]`))
}

function invalid(problem: string): OciError {
  return new OciError('manifest-invalid', `Cannot read manifest: ${problem}`)
}
