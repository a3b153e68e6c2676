import type { Digest } from '../../oci/digest.ts'
import type { GraphSource } from '../../oci/graph.ts'
import { graphTarget } from '../../oci/graph.ts'
import { createLimit } from '../../oci/limit.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { Store } from '../../store/store.ts'
import { BuildError } from '../errors.ts'
import type { OpContext, ResultLayer } from '../solve/vertex.ts'
import { unavailable } from './unavailable.ts'

/** Where the layers of an image lie that are not stored yet. */
export interface RemoteImage {
  readonly name: string
  readonly layers: readonly ResultLayer[]
  open(signal: AbortSignal): GraphSource
  /** Called once when all layers are stored. */
  onWhole(): Promise<void>
}

type FetchContext = Pick<OpContext, 'signal' | 'status'>

/** Layers are fetched when something reads them: a step, or an output. */
export interface ImageLayers {
  /** Tells where to find the layers of an image. */
  add(image: RemoteImage): void
  /**
   * Fetches, verifies and inspects what is not stored yet, several at once, each layer once.
   * @throws BuildError `image-unavailable` for a layer that is nowhere; the errors of registry and store
   */
  require(layers: readonly ResultLayer[], context: FetchContext): Promise<readonly LayerRecord[]>
}

const CONCURRENT_DOWNLOADS = 4

export function createImageLayers(store: Pick<Store, 'content' | 'metadata' | 'layers'>): ImageLayers {
  const { content, metadata, layers: storedLayers } = store
  const limit = createLimit(CONCURRENT_DOWNLOADS)
  const sources = new Map<Digest, RemoteImage>()
  const pending = new Set<RemoteImage>()
  const known = new Map<Digest, Promise<LayerRecord>>()

  const requireLayer = (layer: ResultLayer, context: FetchContext): Promise<LayerRecord> => {
    const found = known.get(layer.digest)
    if (found !== undefined) return found
    const record = findOrFetch(layer, context)
    known.set(layer.digest, record)
    // A step that is executed instead may make this very layer.
    record.catch(() => known.delete(layer.digest))
    return record
  }

  const findOrFetch = async (layer: ResultLayer, context: FetchContext): Promise<LayerRecord> => {
    if ((await content.stat(layer.digest)) === undefined) await limit(() => fetchLayer(layer, context))
    const record = metadata.getLayer(layer.digest)
    if (record?.diffID === layer.diffID) return record
    return storedLayers.inspect(layer, layer.diffID, context.signal)
  }

  const fetchLayer = async (layer: ResultLayer, { signal, status }: FetchContext): Promise<void> => {
    signal.throwIfAborted()
    const { digest, mediaType, size } = layer
    const image = sources.get(digest)
    if (image === undefined)
      throw new BuildError('image-unavailable', `Cannot read layer ${digest}: it is no longer in the store`, {
        hint: 'build again',
      })
    const short = digest.slice(0, 19)
    status(`${short} ${formatMegabytes(size)}`)
    const descriptor = { digest, mediaType, size }
    try {
      const source = await image.open(signal).open(descriptor)
      try {
        await graphTarget(content).write(descriptor, source, signal)
      } finally {
        source.destroy()
      }
    } catch (error) {
      throw unavailable(error, `Cannot get layer ${digest} of ${image.name}`)
    }
    status(`${short} done`)
  }

  return {
    add(image) {
      pending.add(image)
      for (const layer of image.layers) sources.set(layer.digest, image)
    },
    async require(layers, context) {
      const settled = await Promise.allSettled(layers.map(layer => requireLayer(layer, context)))
      const records = settled.map(result => {
        if (result.status === 'rejected') throw result.reason
        return result.value
      })
      const stored = new Set(layers.map(layer => layer.digest))
      for (const image of pending) {
        if (!image.layers.every(layer => stored.has(layer.digest))) continue
        pending.delete(image)
        await image.onWhole()
      }
      return records
    },
  }
}

function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
