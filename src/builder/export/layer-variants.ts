/**
 * One layer in other clothes: compressed in another way, or without files younger than a time. A variant is a
 * function of the layer's tar, so it is kept in the build cache under a key of that: made once, and collected with
 * the cache. The records of the steps stay what they are, and no step runs again for it.
 */
import { CHECKED_BEFORE } from '../../oci/limits.ts'
import type { Compression } from '../../oci/media-type.ts'
import { layerCompression } from '../../oci/media-type.ts'
import { readTar } from '../../oci/tar/reader.ts'
import { type TarItem, writeTar } from '../../oci/tar/writer.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { Store } from '../../store/store.ts'
import type { ImageLayers } from '../images/image-layers.ts'
import { createCacheKey } from '../ops/cache-key.ts'
import { tellingSize } from '../ops/store-layer.ts'
import type { OpContext, ResultLayer } from '../solve/vertex.ts'

export interface LayerVariant {
  readonly compression: Compression
  /** The compressor's default where it is absent. */
  readonly level?: number
  /** Seconds since the epoch: later times of files become this one. */
  readonly latestTime?: number
}

export interface LayerVariants {
  /** The layer itself where it is what is wanted; else the variant, which is stored then. */
  get(layer: ResultLayer, variant: LayerVariant, context: OpContext): Promise<ResultLayer>
}

export interface LayerVariantsDeps {
  readonly store: Pick<Store, 'content' | 'metadata' | 'layers'>
  readonly layers: Pick<ImageLayers, 'require'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export function createLayerVariants({ store, layers, now }: LayerVariantsDeps): LayerVariants {
  const { content, metadata } = store
  const find = async (key: LayerRecord['digest']): Promise<LayerRecord | undefined> => {
    const layer = metadata.getCacheRecord(key)?.layer
    if (layer === undefined) return undefined
    return (await content.stat(layer.digest))?.size === layer.size ? layer : undefined
  }
  return {
    async get(layer, variant, context) {
      const { compression, level, latestTime } = variant
      const isAsWanted = layerCompression(layer.mediaType) === compression && level === undefined
      if (isAsWanted && latestTime === undefined) return layer
      const { digest: key, parts } = createCacheKey('layer variant', [
        ['layer', layer.diffID],
        ['compression', compression],
        ['level', level === undefined ? 'default' : String(level)],
        ['latest time', latestTime === undefined ? 'any' : String(latestTime)],
      ])
      const known = await find(key)
      if (known !== undefined) return known
      const title = `${layer.digest.slice(0, 19)} ${describe(variant)}`
      context.status(title)
      const [record] = await layers.require([layer], context)
      if (record === undefined) throw new Error(`Cannot convert layer ${layer.digest}: it was not found`)
      const tar = await store.layers.openTar(record)
      const made = await store.layers.ingest(
        tellingSize(latestTime === undefined ? tar : clamped(tar, latestTime), `${title}:`, context.status),
        compression,
        context.signal,
        level,
      )
      const description = `layer ${layer.diffID} ${describe(variant)}`
      metadata.putCacheRecord({ key, description, parts, layer: made, createdAt: now() })
      return made
    },
  }
}

function describe({ compression, level, latestTime }: LayerVariant): string {
  const how = compression === 'none' ? 'uncompressed' : `as ${compression}`
  const levelText = level === undefined ? '' : ` of level ${level}`
  return `${how}${levelText}${latestTime === undefined ? '' : `, of ${latestTime} at the latest`}`
}

/** The same tar with no file younger than the time (semantics 96); older times stay. */
function clamped(tar: AsyncIterable<Buffer>, latestTime: number): AsyncIterable<Buffer> {
  return writeTar(clampedItems(tar, latestTime))
}

async function* clampedItems(
  tar: AsyncIterable<Buffer>,
  latestTime: number,
): AsyncGenerator<TarItem, void, undefined> {
  for await (const { entry, body } of readTar(tar, CHECKED_BEFORE)) {
    const { mtimeNanoseconds = 0, ...rest } = entry
    const isLater = entry.mtime > latestTime || (entry.mtime === latestTime && mtimeNanoseconds > 0)
    const kept = isLater ? { ...rest, mtime: latestTime } : entry
    yield entry.size > 0 ? { entry: kept, body: body() } : { entry: kept }
  }
}
