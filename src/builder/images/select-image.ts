import { type ImageConfig, parseImageConfig } from '../../oci/config.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { OciError } from '../../oci/errors.ts'
import { type GraphSource, MAX_INDEX_DEPTH, readContent } from '../../oci/graph.ts'
import { DEFAULT_LIMITS, type Limits, limitExceeded } from '../../oci/limits.ts'
import { type ImageIndex, type ImageManifest, parseManifest } from '../../oci/manifest.ts'
import { layerCompression } from '../../oci/media-type.ts'
import { bestForPlatform, formatPlatform, type Platform } from '../../oci/platform.ts'
import { BuildError } from '../errors.ts'
import type { ResultLayer } from '../solve/vertex.ts'

/** A small document with its exact bytes. */
export interface Document {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

export interface SelectedImage {
  /** What the name stands for: the manifest itself, or the index (of indexes) that led to it, outermost first. */
  readonly path: readonly (Document & { readonly view: ImageIndex | ImageManifest })[]
  readonly manifest: Document
  readonly configDocument: Document
  readonly config: ImageConfig
  readonly layers: readonly ResultLayer[]
}

/**
 * Reads what `root` stands for down to the one image of the platform.
 * @param name for messages
 * @throws BuildError `platform-missing` with what there is; OciError for what is not an image; the source's errors
 */
export async function selectImage(
  source: GraphSource,
  root: Descriptor,
  platform: Platform,
  name: string,
  contentLimits: Partial<Limits> = {},
): Promise<SelectedImage> {
  const path: SelectedImage['path'][number][] = []
  let descriptor = root
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth++) {
    const bytes = await readContent(source, descriptor)
    const view = parseManifest(bytes, descriptor.mediaType)
    path.push({ descriptor, bytes, view })
    if (view.kind === 'image') {
      const limits = { ...DEFAULT_LIMITS, ...contentLimits }
      checkLimits(view, limits, name)
      const configBytes = await readContent(source, view.config, limits.configBytes)
      const configDocument = { descriptor: view.config, bytes: configBytes }
      const config = parseImageConfig(configDocument.bytes)
      const manifest = { descriptor, bytes }
      return { path, manifest, configDocument, config, layers: pairLayers(view, config, name) }
    }
    descriptor = selectPlatform(view, platform, name)
  }
  throw new OciError('manifest-invalid', `Cannot use image ${name}: its index is nested too deeply`)
}

function checkLimits({ layers, config }: ImageManifest, limits: Limits, name: string): void {
  const { imageLayers, configBytes } = limits
  if (layers.length > imageLayers)
    throw limitExceeded(
      'imageLayers',
      imageLayers,
      `Cannot use image ${name}: it has ${layers.length} layers`,
    )
  if (config.size > configBytes)
    throw limitExceeded(
      'configBytes',
      configBytes,
      `Cannot use image ${name}: its config has ${config.size} bytes`,
    )
}

function selectPlatform(index: ImageIndex, wanted: Platform, name: string): Descriptor {
  const best = bestForPlatform(index.manifests, wanted)
  const [only, ...others] = index.manifests
  if (best === undefined && only !== undefined && others.length === 0 && only.platform === undefined)
    return only
  if (best !== undefined) return best
  const platforms = index.manifests.flatMap(({ platform }) =>
    platform === undefined || platform.os === 'unknown' ? [] : [formatPlatform(platform)],
  )
  throw new BuildError(
    'platform-missing',
    `Cannot use image ${name} for ${formatPlatform(wanted)}: it is there for ${platforms.join(', ') || 'no platform'}`,
    { detail: platforms },
  )
}

/** The layers of a manifest with the diffIDs that its config promises. */
function pairLayers(manifest: ImageManifest, config: ImageConfig, name: string): readonly ResultLayer[] {
  const { layers } = manifest
  const diffIDs = config.rootfs.diff_ids
  if (layers.length !== diffIDs.length)
    throw new OciError(
      'manifest-invalid',
      `Cannot use image ${name}: its manifest has ${layers.length} layers, its config ${diffIDs.length}`,
    )
  return diffIDs.map((diffID, index) => {
    const layer = layers[index]
    if (layer === undefined || layerCompression(layer.mediaType) === undefined)
      throw new OciError(
        'manifest-invalid',
        `Cannot use image ${name}: ${layer?.mediaType} is not a filesystem layer`,
      )
    const { digest, mediaType, size } = layer
    return { digest, mediaType, size, diffID }
  })
}
