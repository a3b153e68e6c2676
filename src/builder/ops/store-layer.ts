import type { Compression } from '../../oci/media-type.ts'
import type { Layers } from '../../store/layers.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import { BuildError } from '../errors.ts'
import { formatSize } from '../exec/exceeded.ts'
import type { StepLimits } from '../exec/limits.ts'
import type { OpContext } from '../solve/vertex.ts'

export interface StoreLayerDeps {
  readonly layers: Pick<Layers, 'ingest'>
  /** That outputs want. */
  readonly compression: Compression
  readonly limits: Pick<StepLimits, 'layerBytes'>
}

/**
 * Stores what a step made. Who gzips a toolchain waits longer for that than for its installation: what no image of the
 * build has is kept in the way that costs least, and becomes another where an image wants it after all.
 * @throws BuildError `layer-too-large`
 */
export function storeLayer(
  tar: AsyncIterable<Uint8Array>,
  { layers, compression, limits }: StoreLayerDeps,
  { signal, isPassing, status }: Pick<OpContext, 'signal' | 'isPassing' | 'status'>,
): Promise<LayerRecord> {
  const kept = isPassing === true && compression !== 'none' ? 'zstd' : compression
  return layers.ingest(tellingSize(upTo(tar, limits.layerBytes), 'writing layer', status), kept, signal)
}

const FIRST_BYTES = 16 * 1024 * 1024
/** From one message to the next: a few lines for a layer of any size, and never long without one. */
const GROWTH = 1.5

/** The same bytes. Of many it is told how many there were, such as `writing layer 120 MB`. */
export async function* tellingSize(
  source: AsyncIterable<Uint8Array>,
  what: string,
  tell: (text: string) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0
  let next = FIRST_BYTES
  for await (const chunk of source) {
    size += chunk.length
    if (size >= next) {
      tell(`${what} ${(size / 1e6).toFixed(1)} MB`)
      next *= GROWTH
    }
    yield chunk
  }
}

/** The same bytes, as long as there are not more than `maxBytes`. */
async function* upTo(
  source: AsyncIterable<Uint8Array>,
  maxBytes = Infinity,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > maxBytes) throw layerTooLarge(maxBytes)
    yield chunk
  }
}

export function layerTooLarge(maxBytes: number): BuildError {
  return new BuildError(
    'layer-too-large',
    `Cannot keep layer: it is larger than the ${formatSize(maxBytes)} that --max-layer-size allows`,
  )
}
