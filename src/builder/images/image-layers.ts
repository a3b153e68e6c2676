import { chunksOf, freed } from '../../oci/chunks.ts'
import type { Digest } from '../../oci/digest.ts'
import type { GraphSource } from '../../oci/graph.ts'
import { createLimit } from '../../oci/limit.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { Store } from '../../store/store.ts'
import { BuildError } from '../errors.ts'
import type { OpContext, ResultLayer } from '../solve/vertex.ts'
import { FirstReading } from './first-reading.ts'
import { unavailable } from './unavailable.ts'

/** Where the layers of an image lie that are not stored yet. */
export interface RemoteImage {
  readonly name: string
  readonly layers: readonly ResultLayer[]
  open(signal: AbortSignal): GraphSource
  /** Called once when all layers are stored. */
  onWhole(): Promise<void>
}

export type FetchContext = Pick<OpContext, 'signal' | 'status'>

/** Reads the tar of a layer, or does without. */
export type ReadLayer = (layer: ResultLayer, openTar: () => Promise<AsyncIterable<Buffer>>) => Promise<void>

/** Layers are fetched when something reads them: a step, or an output. */
export interface ImageLayers {
  /** Tells where to find the layers of an image. */
  add(image: RemoteImage): void
  /**
   * Fetches, verifies and reads what is not stored yet, several at once, each layer once.
   * @throws BuildError `image-unavailable` for a layer that is nowhere; the errors of registry and store
   */
  require(layers: readonly ResultLayer[], context: FetchContext): Promise<readonly LayerRecord[]>
  /**
   * Reads layers one after the other, in order. What is not stored yet is fetched, several at once, and read while it
   * comes: the end of a tar tells that it was the right one. @throws as `require`; what `read` throws
   */
  readTars(layers: readonly ResultLayer[], context: FetchContext, read: ReadLayer): Promise<void>
}

const CONCURRENT_DOWNLOADS = 4

type StoreOfLayers = Pick<Store, 'content' | 'metadata' | 'layers'>

export function createImageLayers(store: StoreOfLayers): ImageLayers {
  const { content, metadata, layers: storedLayers } = store
  const limit = createLimit(CONCURRENT_DOWNLOADS)
  const sources = new Map<Digest, RemoteImage>()
  const pending = new Set<RemoteImage>()
  const readings = new Map<Digest, Promise<FirstReading>>()

  /** Begins to fetch the layer where that has to be. */
  const readingOf = (layer: ResultLayer, context: FetchContext): Promise<FirstReading> => {
    const { digest } = layer
    const found = readings.get(digest)
    if (found !== undefined) return found
    const begun = begin(layer, context)
    readings.set(digest, begun)
    // A step that is executed instead may make this very layer.
    begun.then(({ record }) => record).catch(() => readings.delete(digest))
    return begun
  }

  const begin = async (layer: ResultLayer, context: FetchContext): Promise<FirstReading> => {
    const { digest, diffID } = layer
    const recordOf = (): LayerRecord | undefined => metadata.getLayer(digest)
    if ((await content.stat(digest)) === undefined) {
      const received = await receive(layer, context)
      return new FirstReading(recordOf, received)
    }
    if (recordOf()?.diffID === diffID) return new FirstReading(recordOf)
    return new FirstReading(recordOf, { tar: await storedLayers.openUnread(layer, diffID) })
  }

  const receive = (layer: ResultLayer, context: FetchContext) => {
    const received = Promise.withResolvers<Awaited<ReturnType<typeof storedLayers.receive>>>()
    limit(async () => {
      const { digest, diffID, size } = layer
      const short = digest.slice(0, 19)
      context.signal.throwIfAborted()
      const image = sourceOf(sources, digest)
      context.status(`${short} ${formatMegabytes(size)}`)
      const source = download(layer, image, context.signal)
      const begun = await storedLayers.receive(layer, diffID, source, context.signal)
      received.resolve(begun)
      await begun.stored
      context.status(`${short} done`)
    }).catch(received.reject)
    return received.promise
  }

  const drain = async (layer: ResultLayer, context: FetchContext): Promise<LayerRecord> => {
    const reading = await readingOf(layer, context)
    const tar = reading.take()
    if (tar !== undefined) for await (const _ of tar) context.signal.throwIfAborted()
    return reading.record
  }

  return {
    add(image) {
      pending.add(image)
      for (const layer of image.layers) sources.set(layer.digest, image)
    },

    async require(layers, context) {
      const records = await all(layers.map(layer => drain(layer, context)))
      const stored = new Set(layers.map(layer => layer.digest))
      for (const image of pending) {
        if (!image.layers.every(layer => stored.has(layer.digest))) continue
        pending.delete(image)
        await image.onWhole()
      }
      return records
    },

    async readTars(layers, context, read) {
      const stopped = new AbortController()
      const signal = AbortSignal.any([context.signal, stopped.signal])
      const begun = layers.map(layer => ({ layer, reading: readingOf(layer, { ...context, signal }) }))
      try {
        for (const { layer, reading } of begun) {
          let taken: AsyncIterable<Buffer> | undefined
          await read(layer, async () => {
            const first = await reading
            taken = first.take()
            return taken ?? storedLayers.openTar(await first.record)
          })
          // The reader may have found that somebody else was first.
          if (taken !== undefined) for await (const _ of taken);
        }
      } catch (error) {
        stopped.abort(error)
        for (const { reading } of begun)
          await reading.then(
            unread => unread.close(error),
            () => undefined,
          )
        throw error
      }
    },
  }
}

async function* download(
  { digest, mediaType, size }: ResultLayer,
  image: RemoteImage,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    const source = await image.open(signal).open({ digest, mediaType, size })
    try {
      yield* freed(chunksOf(source))
    } finally {
      source.destroy()
    }
  } catch (error) {
    throw unavailable(error, `Cannot get layer ${digest} of ${image.name}`)
  }
}

function sourceOf(sources: ReadonlyMap<Digest, RemoteImage>, digest: Digest): RemoteImage {
  const image = sources.get(digest)
  if (image !== undefined) return image
  throw new BuildError('image-unavailable', `Cannot read layer ${digest}: it is no longer in the store`, {
    hint: 'build again',
  })
}

/** Waits for all, then throws the first failure: nothing is left running behind the caller's back. */
async function all<T>(promises: readonly Promise<T>[]): Promise<readonly T[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map(result => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
