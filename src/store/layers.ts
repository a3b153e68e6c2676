import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { LayerToc } from '../oci/layer/toc.ts'
import type { Compression } from '../oci/media-type.ts'
import type { LayerRecord } from './metadata.ts'

/** Layers as the store knows them: blobs, with their diffID and table of contents. */
export interface Layers {
  /**
   * Stores an uncompressed layer tar: hashed, compressed, hashed, written in one stream. Verifies that it is a tar.
   * The bytes of the blob are a function of the tar, `compression` and `level` alone.
   * @param level of the compressor's scale (`COMPRESSION_LEVELS`); its default where it is absent
   */
  ingest(
    tar: AsyncIterable<Uint8Array>,
    compression: Compression,
    signal: AbortSignal,
    level?: number,
  ): Promise<LayerRecord>
  /** The table of contents of a layer that was ingested, or read to its end. @throws StoreError `content-missing` */
  toc(layer: LayerRecord): LayerToc
  /** The uncompressed tar of a stored layer, verified against its diffID at the end. */
  openTar(layer: LayerRecord): Promise<AsyncIterable<Buffer>>
}

/** Layers that nobody has read yet, read once for all that there is to know, and for whoever wants the tar. */
export interface UnreadLayers {
  /**
   * The tar of a layer blob that is stored, to be read once. It ends when the layer is found to be what is promised, and
   * known from now on. A chunk is done with when the next one is asked for.
   * @param diffID what the image config promises @throws OciError `digest-mismatch` when the layer is another
   */
  openUnread(layer: Descriptor, diffID: Digest): Promise<AsyncIterable<Buffer>>
  /** The same of one that comes from elsewhere, and is stored meanwhile. */
  receive(
    layer: Descriptor,
    diffID: Digest,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<ReceivedLayer>
}

/** A layer on its way into the store. */
export interface ReceivedLayer {
  /** Returns when the blob is verified and stored, whether its tar is read or not. */
  readonly stored: Promise<void>
  /** To be read once. A chunk is done with when the next one is asked for. */
  readonly tar: AsyncIterable<Buffer>
  /** Instead of reading. */
  close(): Promise<void>
}
