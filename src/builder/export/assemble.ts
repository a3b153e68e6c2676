/** From a draft and the layers that came out of the graph to the documents of an image. */
import {
  type HistoryEntry,
  type ImageConfig,
  imageConfigBytes,
  type RuntimeConfig,
} from '../../oci/config.ts'
import { type Descriptor, describeBytes } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import type { JsonObject } from '../../oci/json.ts'
import { imageManifestBytes } from '../../oci/manifest.ts'
import { DOCKER_LAYER_TYPES, layerCompression, MEDIA_TYPE, OCI_LAYER_TYPES } from '../../oci/media-type.ts'
import { asGoWrites, formatTime } from '../../oci/time.ts'
import {
  BUILDKIT_CACHE_FIELD,
  type DocumentedStep,
  INLINE_CACHE_FIELD,
  inlineCache,
} from '../cache/cache-document.ts'
import { HISTORY_COMMENT, LAYER_COMMENT } from '../plan/history.ts'
import type { HistoryItem, ImageDraft } from '../plan/stage-draft.ts'
import type { Solution } from '../solve/step.ts'
import type { ResultLayer, Vertex } from '../solve/vertex.ts'

/** An image as a manifest. Equal inputs give equal bytes. */
export interface BuiltImage {
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Buffer }
  readonly manifest: { readonly descriptor: Descriptor; readonly bytes: Buffer }
  readonly layers: readonly AssembledLayer[]
}

export interface AssembledLayer extends ResultLayer {
  /** On its descriptor. */
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ManifestStyle {
  readonly mediaTypes: 'oci' | 'docker'
  readonly annotations?: Readonly<Record<string, string>>
  /** What the config tells other machines of the build's steps. */
  readonly inlineSteps?: readonly DocumentedStep[]
}

/**
 * @param solutions of the graph: when each new layer was made. A cached layer has its first time, so that a build
 *   in which nothing changed yields the same image
 * @param sourceDateEpoch seconds since the epoch: the time of all that is new (semantics 82)
 */
export function assembleImage(
  draft: ImageDraft,
  layers: readonly AssembledLayer[],
  solutions: ReadonlyMap<Digest, Solution>,
  sourceDateEpoch: number | undefined,
  { mediaTypes, annotations, inlineSteps }: ManifestStyle = { mediaTypes: 'oci' },
): BuiltImage {
  const history = datedHistory(draft.history, solutions, sourceDateEpoch)
  const created = history.at(-1)?.created
  const image: ImageConfig = {
    ...draft.config,
    config: ordered(draft.config.config),
    ...(created !== undefined && { created }),
    rootfs: { type: 'layers', diff_ids: layers.map(layer => layer.diffID) },
    history,
    unknown: {
      ...withoutCaches(draft.config.unknown),
      ...(inlineSteps !== undefined && { [INLINE_CACHE_FIELD]: inlineCache(inlineSteps, layers) }),
    },
  }
  const configBytes = imageConfigBytes(image)
  const types = STYLES[mediaTypes]
  const config = describeBytes(types.config, configBytes)
  const manifestBytes = imageManifestBytes({
    mediaType: types.manifest,
    config,
    layers: layers.map(({ digest, mediaType, size, annotations }) => ({
      mediaType: layerType(mediaType, types.layers),
      digest,
      size,
      ...(annotations !== undefined && mediaTypes === 'oci' && { annotations }),
    })),
    ...(annotations !== undefined && { annotations }),
  })
  return {
    config: { descriptor: config, bytes: configBytes },
    manifest: { descriptor: describeBytes(types.manifest, manifestBytes), bytes: manifestBytes },
    layers,
  }
}

const STYLES = {
  oci: { manifest: MEDIA_TYPE.ociManifest, config: MEDIA_TYPE.ociConfig, layers: OCI_LAYER_TYPES },
  docker: {
    manifest: MEDIA_TYPE.dockerManifest,
    config: MEDIA_TYPE.dockerConfig,
    layers: DOCKER_LAYER_TYPES,
  },
} as const

/** How many of the layers are the base's: the others have an entry of the history that this build made. */
export function inheritedLayers({ history }: ImageDraft, layers: readonly ResultLayer[]): number {
  const made = history.filter(isLayer)
  return Math.max(layers.length - made.length, 0)
}

/** Configs and layers, in bytes; what occurs twice counts once. */
export function imagesSize(images: readonly BuiltImage[]): number {
  const parts = images.flatMap(({ config, layers }) => [config.descriptor, ...layers])
  return [...new Map(parts.map(({ digest, size }) => [digest, size])).values()].reduce((a, b) => a + b, 0)
}

type LayerItem = Exclude<HistoryItem, { kind: 'inherited' }> & { readonly vertex: Vertex }

function isLayer(item: HistoryItem): item is LayerItem {
  return item.kind !== 'inherited' && item.vertex !== undefined
}

/**
 * A new entry without a layer has the time of the layer before it, or of the first new layer, or of the last entry
 * of the base: never the time of the build, which would make two equal builds differ.
 *
 * Entries go with layers by their order. Where there are more layers than instructions that made one, BuildKit adds
 * entries at the end, which tell what the last layers are; so each entry may go with the layer before its own.
 */
function datedHistory(
  items: readonly HistoryItem[],
  solutions: ReadonlyMap<Digest, Solution>,
  sourceDateEpoch: number | undefined,
): readonly HistoryEntry[] {
  const layers = items.filter(isLayer)
  const times = layers.map(({ vertex }) => {
    if (sourceDateEpoch !== undefined) return formatTime(sourceDateEpoch * 1000)
    const createdAt = solutions.get(vertex.digest)?.createdAt
    return createdAt === undefined ? undefined : formatTime(createdAt)
  })
  const inherited = items.flatMap(item => (item.kind === 'inherited' ? [asBuildKitWrites(item.entry)] : []))
  const fallback = inherited.findLast(({ created }) => created !== undefined)?.created
  const ofEpoch = sourceDateEpoch === undefined ? undefined : formatTime(sourceDateEpoch * 1000)
  let last = times.find(time => time !== undefined) ?? ofEpoch ?? fallback
  let taken = 0
  const entry = (createdBy: string, comment: string, hasLayer: boolean): HistoryEntry => {
    if (hasLayer) last = times[taken++] ?? last
    return {
      ...(last !== undefined && { created: last }),
      created_by: createdBy,
      comment,
      ...(!hasLayer && { empty_layer: true }),
    }
  }
  const said = items.flatMap(item => {
    if (item.kind === 'unsaid') return []
    return item.kind === 'inherited'
      ? [asBuildKitWrites(item.entry)]
      : [entry(item.createdBy, HISTORY_COMMENT, item.vertex !== undefined)]
  })
  const unsaid = layers.slice(taken).map(layer => entry(describeLayer(layer), LAYER_COMMENT, true))
  return [...said, ...unsaid]
}

/** It reads the times of a base and writes them anew: the image ID would be another with theirs as they stand. */
function asBuildKitWrites(entry: HistoryEntry): HistoryEntry {
  return entry.created === undefined ? entry : { ...entry, created: asGoWrites(entry.created) }
}

function describeLayer(item: LayerItem): string {
  return item.kind === 'unsaid' ? item.description : item.vertex.name
}

/** What a base image tells of its own build is not true of this one. */
function withoutCaches(unknown: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(unknown).filter(([name]) => name !== INLINE_CACHE_FIELD && name !== BUILDKIT_CACHE_FIELD),
  )
}

const FIELD_ORDER: readonly string[] = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'Healthcheck',
  'ArgsEscaped',
  'OnBuild',
  'Shell',
] satisfies (keyof RuntimeConfig)[]

/**
 * Docker's order of fields, labels by name, and nothing that says nothing: however the draft came about, the bytes
 * are the same.
 */
function ordered(config: RuntimeConfig): RuntimeConfig {
  const rank = (name: string): number => {
    const at = FIELD_ORDER.indexOf(name)
    return at < 0 ? FIELD_ORDER.length : at
  }
  const { Labels } = config
  const labeled = Labels === undefined ? config : { ...config, Labels: sortedByName(Labels) }
  const fields = Object.entries(labeled)
    .filter(([name, value]) => !FIELD_ORDER.includes(name) || !isEmpty(value))
    .toSorted(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
  return Object.fromEntries(fields)
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0
  return value === null || value === '' || value === false
}

function sortedByName<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** All layers of a manifest are of its style: the same bytes under the type's other name. */
function layerType(mediaType: string, types: typeof OCI_LAYER_TYPES): string {
  const compression = layerCompression(mediaType)
  return compression === undefined ? mediaType : types[compression]
}
