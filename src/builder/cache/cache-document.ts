/**
 * What one machine tells another of its steps. As an artifact it is an image manifest that every registry stores:
 *
 * ```
 * manifest   artifactType application/vnd.slipway.build-cache.v1+json
 *   config   application/vnd.slipway.build-cache.config.v1+json: the document below
 *   layers   the layers that are passed on, as images have them
 * document   {"version":1,"steps":[{
 *              "key": digest of the framed parts,    "quickKey"?: the same over results (ops/quick-key.ts),
 *              "parts"?: [[name, value]...],          "description"?: "RUN make",
 *              "layer": {mediaType,digest,size,diffID}, "content"?: digest of it without times, "createdAt": milliseconds since the epoch }...]}
 * ```
 *
 * A cache may pass on cache mounts too (mount-document.ts). Inline it is the field `slipway.buildCache` of the image's config, where `layer` may be the number of a layer of the
 * image. A step whose layer is not among the layers tells what comes of it: a step above may be found by that.
 *
 * Whoever reads a document did not write it: all is checked, and bounded.
 */
import { type Digest, isDigest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { isJsonObject, jsonBytes, parseJson } from '../../oci/json.ts'
import { layerCompression } from '../../oci/media-type.ts'
import type { CachedStep } from '../solve/step-cache.ts'
import type { ResultLayer } from '../solve/vertex.ts'
import { type DocumentedMount, plainMount } from './mount-document.ts'

export const CACHE_ARTIFACT_TYPE = 'application/vnd.slipway.build-cache.v1+json'
export const CACHE_CONFIG_TYPE = 'application/vnd.slipway.build-cache.config.v1+json'
/** Of an image config. */
export const INLINE_CACHE_FIELD = 'slipway.buildCache'

/** Where BuildKit puts its own. */
export const BUILDKIT_CACHE_FIELD = 'moby.buildkit.cache.v0'

/** In bytes. */
export const MAX_CACHE_DOCUMENT = 32 * 1024 * 1024

const MAX_STEPS = 20_000
const MAX_PARTS = 10_000
const MAX_DESCRIPTION = 1000
/** The end of the year 9999. */
const MAX_TIME_MS = 253_402_300_799_999

type Parts = CachedStep['key']['parts']

export interface DocumentedStep {
  readonly key: Digest
  readonly quickKey?: Digest
  readonly parts?: Parts
  readonly description?: string
  readonly layer: ResultLayer
  readonly content?: Digest
  readonly createdAt: number
}

export function cacheDocumentBytes(
  steps: readonly DocumentedStep[],
  mounts: readonly DocumentedMount[] = [],
): Buffer {
  return jsonBytes({
    version: 1,
    steps: steps.map(({ key, quickKey, parts, description, layer, content, createdAt }) => ({
      key,
      quickKey,
      parts,
      description: description?.slice(0, MAX_DESCRIPTION),
      layer: plainLayer(layer),
      content,
      createdAt,
    })),
    ...(mounts.length > 0 && { mounts: mounts.map(plainMount) }),
  })
}

/** The value of the field of an image config: keys alone, for whoever has the image has the Dockerfile too, or need not. */
export function inlineCache(
  steps: readonly DocumentedStep[],
  layers: readonly Pick<ResultLayer, 'diffID'>[],
): Readonly<Record<string, unknown>> {
  const places = new Map(layers.map(({ diffID }, index) => [diffID, index]))
  return {
    version: 1,
    steps: steps.map(({ key, quickKey, layer, content, createdAt }) => ({
      key,
      ...(quickKey !== undefined && { quickKey }),
      layer: places.get(layer.diffID) ?? plainLayer(layer),
      ...(content !== undefined && { content }),
      createdAt,
    })),
  }
}

/** @throws OciError `config-invalid` */
export function parseCacheDocument(bytes: Uint8Array): readonly DocumentedStep[] {
  return readCacheDocument(parseJson(bytes), [])
}

/** @param layers those of the image, for steps that name one by its number @throws OciError `config-invalid` */
export function readCacheDocument(value: unknown, layers: readonly ResultLayer[]): readonly DocumentedStep[] {
  if (!isJsonObject(value)) throw invalid('it is no object')
  if (value.version !== 1) throw invalid('its version is not 1')
  const { steps } = value
  if (!Array.isArray(steps) || steps.length > MAX_STEPS)
    throw invalid(`its steps are no list of up to ${MAX_STEPS}`)
  return steps.map((step, index) => readStep(step, layers, `step ${index}`))
}

function readStep(value: unknown, layers: readonly ResultLayer[], where: string): DocumentedStep {
  if (!isJsonObject(value)) throw invalid(`${where} is no object`)
  const { key, quickKey, parts, description, layer, content, createdAt } = value
  if (!isDigestText(key)) throw invalid(`${where} has no key`)
  if (quickKey !== undefined && !isDigestText(quickKey))
    throw invalid(`${where} has a quick key that is none`)
  if (parts !== undefined && !isParts(parts)) throw invalid(`${where} has parts that are none`)
  if (content !== undefined && !isDigestText(content)) throw invalid(`${where} has a content that is none`)
  if (!isWhole(createdAt, MAX_TIME_MS)) throw invalid(`${where} has no time`)
  return {
    key,
    ...(quickKey !== undefined && { quickKey }),
    ...(parts !== undefined && { parts }),
    ...(typeof description === 'string' && { description: description.slice(0, MAX_DESCRIPTION) }),
    layer: readLayer(layer, layers, where),
    ...(content !== undefined && { content }),
    createdAt,
  }
}

function readLayer(value: unknown, layers: readonly ResultLayer[], where: string): ResultLayer {
  if (typeof value === 'number') {
    const layer = layers[value]
    if (layer === undefined) throw invalid(`${where} names a layer that the image does not have`)
    return layer
  }
  if (!isJsonObject(value)) throw invalid(`${where} has no layer`)
  const { mediaType, digest, size, diffID } = value
  if (typeof mediaType !== 'string' || layerCompression(mediaType) === undefined)
    throw invalid(`${where} has no layer of a filesystem`)
  if (!isDigestText(digest) || !isDigestText(diffID)) throw invalid(`${where} has a layer without digests`)
  if (!isWhole(size, Number.MAX_SAFE_INTEGER)) throw invalid(`${where} has a layer without a size`)
  return { mediaType, digest, size, diffID }
}

function plainLayer({ mediaType, digest, size, diffID }: ResultLayer): ResultLayer {
  return { mediaType, digest, size, diffID }
}

function isDigestText(value: unknown): value is Digest {
  return typeof value === 'string' && isDigest(value)
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most
}

function isParts(value: unknown): value is Parts {
  return (
    Array.isArray(value) &&
    value.length <= MAX_PARTS &&
    value.every(
      part => Array.isArray(part) && part.length === 2 && part.every(text => typeof text === 'string'),
    )
  )
}

function invalid(problem: string): OciError {
  return new OciError('config-invalid', `Cannot read build cache: ${problem}`)
}
