/** Reads the steps that a cache, or an image with a cache in it, tells of. */
import type { Descriptor } from '../../oci/descriptor.ts'
import { isDigest } from '../../oci/digest.ts'
import { type GraphSource, readContent } from '../../oci/graph.ts'
import { isJsonObject, type JsonObject, parseJson } from '../../oci/json.ts'
import { type ImageManifest, parseManifest } from '../../oci/manifest.ts'
import type { ResultLayer } from '../solve/vertex.ts'
import {
  BUILDKIT_CACHE_FIELD,
  CACHE_CONFIG_TYPE,
  type DocumentedStep,
  INLINE_CACHE_FIELD,
  MAX_CACHE_DOCUMENT,
  readCacheDocument,
} from './cache-document.ts'
import { type DocumentedMount, readMounts } from './mount-document.ts'

export interface ReadCache {
  readonly steps: readonly DocumentedStep[]
  readonly mounts: readonly DocumentedMount[]
  /** Layers that can be had where the document was. */
  readonly layers: readonly Descriptor[]
  /** What there was instead of a cache of ours. */
  readonly foreign?: string
}

const NOTHING: ReadCache = { steps: [], mounts: [], layers: [] }
/** Images of an index that are looked at. */
const MAX_IMAGES = 32
const BUILDKIT_CONFIG = 'application/vnd.buildkit.cacheconfig.v0'

/** @throws OciError for what is malformed; the source's errors */
export async function readCache(source: GraphSource, root: Descriptor): Promise<ReadCache> {
  const manifest = parseManifest(await readContent(source, root), root.mediaType)
  if (manifest.kind === 'image') return readManifest(source, manifest)
  const found: ReadCache[] = []
  for (const child of manifest.manifests.slice(0, MAX_IMAGES)) {
    if (child.mediaType === BUILDKIT_CONFIG) return { ...NOTHING, foreign: "BuildKit's" }
    if (child.platform?.os === 'unknown') continue
    const view = parseManifest(await readContent(source, child), child.mediaType)
    if (view.kind === 'image') found.push(await readManifest(source, view))
  }
  const foreign = found.find(cache => cache.foreign !== undefined)?.foreign
  return {
    steps: found.flatMap(({ steps }) => steps),
    mounts: found.flatMap(({ mounts }) => mounts),
    layers: found.flatMap(({ layers }) => layers),
    ...(foreign !== undefined && { foreign }),
  }
}

async function readManifest(source: GraphSource, manifest: ImageManifest): Promise<ReadCache> {
  const { config, layers } = manifest
  if (config.mediaType === BUILDKIT_CONFIG) return { ...NOTHING, foreign: "BuildKit's" }
  const bytes = await readContent(source, config, MAX_CACHE_DOCUMENT)
  const value = parseJson(bytes)
  if (config.mediaType === CACHE_CONFIG_TYPE)
    return { steps: readCacheDocument(value, []), mounts: readMounts(value), layers }
  if (!isJsonObject(value)) return NOTHING
  const inline = value[INLINE_CACHE_FIELD]
  if (inline === undefined)
    return value[BUILDKIT_CACHE_FIELD] === undefined ? NOTHING : { ...NOTHING, foreign: "BuildKit's" }
  return { steps: readCacheDocument(inline, imageLayers(value, layers)), mounts: [], layers }
}

/** The layers of an image with the diffIDs that its config promises; none where the two do not fit. */
function imageLayers({ rootfs }: JsonObject, layers: readonly Descriptor[]): readonly ResultLayer[] {
  const diffIDs = isJsonObject(rootfs) && Array.isArray(rootfs.diff_ids) ? rootfs.diff_ids : []
  if (diffIDs.length !== layers.length) return []
  const paired: ResultLayer[] = []
  for (const [index, { mediaType, digest, size }] of layers.entries()) {
    const diffID: unknown = diffIDs[index]
    if (typeof diffID !== 'string' || !isDigest(diffID)) return []
    paired.push({ mediaType, digest, size, diffID })
  }
  return paired
}
