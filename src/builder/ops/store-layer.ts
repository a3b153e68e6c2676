import type { Compression } from '../../oci/media-type.ts'
import type { Layers } from '../../store/layers.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { OpContext } from '../solve/vertex.ts'

export interface StoreLayerDeps {
  readonly layers: Pick<Layers, 'ingest'>
  /** That outputs want. */
  readonly compression: Compression
}

/**
 * Stores what a step made. Who gzips a toolchain waits longer for that than for its installation: what no image of the
 * build has is kept in the way that costs least, and becomes another where an image wants it after all.
 */
export function storeLayer(
  tar: AsyncIterable<Uint8Array>,
  { layers, compression }: StoreLayerDeps,
  { signal, isPassing }: Pick<OpContext, 'signal' | 'isPassing'>,
): Promise<LayerRecord> {
  return layers.ingest(tar, isPassing === true && compression !== 'none' ? 'zstd' : compression, signal)
}
