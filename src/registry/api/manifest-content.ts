import { type ImageConfig, parseImageConfig } from '../../oci/config.ts'
import type { ContentProvider } from '../../oci/content.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { OciError } from '../../oci/errors.ts'
import { graphSource, readContent } from '../../oci/graph.ts'
import { type ImageManifest, parseManifest } from '../../oci/manifest.ts'
import { layerCompression, MEDIA_TYPE } from '../../oci/media-type.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { StoreError } from '../../store/errors.ts'

/** What a manifest and its config say: two small reads, whatever the image's size. */
export async function readManifestContent(content: ContentProvider, descriptor: Descriptor) {
  const manifest = parseManifest(await readContent(graphSource(content), descriptor), descriptor.mediaType)
  const annotations = manifest.annotations ?? {}
  if (manifest.kind === 'index')
    return {
      kind: manifest.kind,
      annotations,
      manifests: manifest.manifests.map(child => ({
        ...descriptorAnswer(child),
        platform: child.platform === undefined ? null : formatPlatform(child.platform),
        annotations: child.annotations ?? {},
      })),
    }
  const config = await readConfig(content, manifest)
  return {
    kind: manifest.kind,
    annotations,
    config: descriptorAnswer(manifest.config),
    layers: layerAnswers(manifest, config),
    image: config === undefined ? null : imageAnswer(config),
  }
}

function descriptorAnswer({ digest, mediaType, size }: Descriptor) {
  return { digest, mediaType, bytes: size }
}

/** Each layer with the step that made it, as far as the history tells. */
function layerAnswers({ layers }: ImageManifest, config: ImageConfig | undefined) {
  const steps = config?.history.filter(entry => entry.empty_layer !== true) ?? []
  const isTold = steps.length === layers.length
  return layers.map((layer, index) => ({
    ...descriptorAnswer(layer),
    compression: layerCompression(layer.mediaType) ?? null,
    createdBy: isTold ? text(steps[index]?.created_by) : null,
  }))
}

function imageAnswer(image: ImageConfig) {
  const { config, history, created, author } = image
  return {
    platform: formatPlatform(image),
    created: text(created),
    author: text(author),
    user: text(config.User),
    workingDir: text(config.WorkingDir),
    env: config.Env ?? [],
    entrypoint: config.Entrypoint ?? null,
    cmd: config.Cmd ?? null,
    exposedPorts: Object.keys(config.ExposedPorts ?? {}),
    volumes: Object.keys(config.Volumes ?? {}),
    stopSignal: text(config.StopSignal),
    labels: config.Labels ?? {},
    history: history.map(entry => ({
      created: text(entry.created),
      createdBy: text(entry.created_by),
      comment: text(entry.comment),
      emptyLayer: entry.empty_layer === true,
    })),
  }
}

/** The history is as its client wrote it. */
function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** Undefined for what is no image, and for a config that is missing or cannot be read. */
async function readConfig(
  content: ContentProvider,
  { config }: ImageManifest,
): Promise<ImageConfig | undefined> {
  if (config.mediaType !== MEDIA_TYPE.ociConfig && config.mediaType !== MEDIA_TYPE.dockerConfig)
    return undefined
  try {
    return parseImageConfig(await readContent(graphSource(content), config))
  } catch (error) {
    if (error instanceof OciError || (error instanceof StoreError && error.code.startsWith('content-')))
      return undefined
    throw error
  }
}
