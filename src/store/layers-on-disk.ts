import { availableParallelism } from 'node:os'
import type { Readable } from 'node:stream'
import { freedBuffers } from '../oci/chunks.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, Digester, DigestVerifier, digestAlgorithm } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { createCompress } from '../oci/layer/compression.ts'
import { decompress, sniffCompression } from '../oci/layer/decompression.ts'
import { packToc, unpackToc } from '../oci/layer/toc-codec.ts'
import { TocRecorder } from '../oci/layer/toc-recorder.ts'
import { type ArchiveLimits, CHECKED_BEFORE } from '../oci/limits.ts'
import { OCI_LAYER_TYPES } from '../oci/media-type.ts'
import { receive } from './arrival.ts'
import type { DiskContent } from './blobs.ts'
import { createDeflateThreads } from './deflate-threads.ts'
import { StoreError } from './errors.ts'
import type { Layers, UnreadLayers } from './layers.ts'
import type { LayerRecord, Metadata } from './metadata.ts'

export interface LayersDeps {
  readonly content: Pick<DiskContent, 'begin' | 'open' | 'stat'>
  readonly metadata: Pick<Metadata, 'getLayer' | 'putLayer' | 'getToc'>
  /** Of every layer that comes in. */
  readonly limits?: Partial<ArchiveLimits> | undefined
}

/** With more of them the thread that reads, hashes and writes does not keep up, and each takes memory. */
const MAX_THREADS = 4

/** Layers over content and metadata. Every layer is read once, as a stream, however large; memory holds its table. */
export function createLayers({ content, metadata, limits = {} }: LayersDeps): Layers & UnreadLayers {
  const compress = createCompress(createDeflateThreads(Math.min(availableParallelism(), MAX_THREADS)))

  /** Reads a layer whose blob verifies itself before it ends, and keeps what is learnt. */
  async function* firstReading(
    blob: AsyncIterable<Buffer>,
    { digest, mediaType, size }: Descriptor,
    diffID: Digest,
  ): AsyncGenerator<Buffer, void, undefined> {
    const reading = new LayerReading(digestAlgorithm(diffID), limits)
    yield* reading.read(freedBuffers(decompressed(blob, limits)))
    const { toc, ...facts } = reading.finish()
    metadata.putLayer(checkDiffID({ digest, mediaType, size, ...facts }, diffID), toc)
  }

  return {
    async ingest(tar, compression, signal, level) {
      const reading = new LayerReading('sha256', limits)
      await using ingest = await content.begin()
      try {
        await ingest.append(compress(reading.read(tar), compression, level), signal)
        const { diffID, uncompressedSize, toc } = reading.finish()
        const { digest, size } = await ingest.commit({ digest: await ingest.digest() })
        const layer = { digest, mediaType: OCI_LAYER_TYPES[compression], size, diffID, uncompressedSize }
        metadata.putLayer(layer, toc)
        return layer
      } catch (error) {
        await ingest.abort()
        throw error
      }
    },

    async openUnread(descriptor, diffID) {
      return firstReading(verified(await content.open(descriptor.digest), descriptor), descriptor, diffID)
    },

    async receive(descriptor, diffID, source, signal) {
      const { digest, size } = descriptor
      const ingest = await content.begin(digestAlgorithm(digest))
      const { stored, read, close } = await receive(ingest, { digest, size }, source, signal)
      return { stored, tar: untilStored(firstReading(read(), descriptor, diffID), stored), close }
    },

    toc(layer) {
      const packed = metadata.getToc(layer.diffID)
      if (packed !== undefined) return unpackToc(packed)
      throw new StoreError(
        'content-missing',
        `Cannot read layer ${layer.digest}: its table of contents is not stored`,
        {
          detail: [layer.digest],
        },
      )
    },

    async openTar(layer) {
      return verifiedTar(decompressed(await content.open(layer.digest), CHECKED_BEFORE), layer)
    },
  }
}

/** What can be learnt from an uncompressed tar while it passes. */
class LayerReading {
  readonly #digester: Digester
  readonly #recorder: TocRecorder

  constructor(algorithm: 'sha256' | 'sha512', limits: Partial<ArchiveLimits>) {
    this.#digester = new Digester(algorithm)
    this.#recorder = new TocRecorder(limits)
  }

  async *read<Chunk extends Uint8Array>(tar: AsyncIterable<Chunk>): AsyncGenerator<Chunk, void, undefined> {
    for await (const chunk of tar) {
      this.#recorder.update(chunk)
      this.#digester.update(chunk)
      yield chunk
    }
  }

  /** @throws OciError when it was no whole tar, or no layer */
  finish(): { readonly diffID: Digest; readonly uncompressedSize: number; readonly toc: Buffer } {
    const toc = packToc(this.#recorder.finish())
    const uncompressedSize = this.#digester.size
    return { diffID: this.#digester.digest(), uncompressedSize, toc }
  }
}

function checkDiffID(layer: LayerRecord, diffID: Digest): LayerRecord {
  if (layer.diffID === diffID) return layer
  throw new OciError(
    'digest-mismatch',
    `Cannot use layer ${layer.digest}: the image config promises the diffID ${diffID}, and it has ${layer.diffID}`,
    { detail: { want: diffID, got: layer.diffID } },
  )
}

function verified(blob: Readable, { digest, size }: Descriptor): Readable {
  return blob.compose(new DigestVerifier({ digest, size }))
}

/** By the bytes, not by the media type: there are registries full of layers that are labelled wrongly. */
async function* decompressed(
  blob: AsyncIterable<Buffer>,
  limits: Partial<ArchiveLimits>,
): AsyncGenerator<Buffer, void, undefined> {
  const { compression, whole } = await sniffCompression(blob)
  if (compression === 'xz' || compression === 'bzip2') {
    for await (const _ of whole) break
    throw new OciError('layer-invalid', `Cannot read layer: ${compression} is no compression of layers`)
  }
  yield* decompress(whole, compression, limits)
}

/** Bytes that turn out to be others than were promised look broken sooner than that is known: it is the reason. */
async function* untilStored(
  tar: AsyncIterable<Buffer>,
  stored: Promise<void>,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* tar
  } catch (error) {
    await stored
    throw error
  }
}

/** Stops at the first byte too many, and fails after the last one unless all of them were the layer's. */
async function* verifiedTar(tar: AsyncIterable<Buffer>, layer: LayerRecord): AsyncGenerator<Buffer> {
  const { diffID, uncompressedSize } = layer
  const digester = new Digester(digestAlgorithm(diffID))
  for await (const chunk of tar) {
    digester.update(chunk)
    if (digester.size > uncompressedSize) throw otherTar(layer, `it goes on after ${uncompressedSize} bytes`)
    yield chunk
  }
  const got = digester.digest()
  if (got !== diffID) throw otherTar(layer, `its tar has the digest ${got}`)
}

function otherTar({ digest, diffID }: LayerRecord, state: string): OciError {
  return new OciError('digest-mismatch', `Cannot read layer ${digest} with diffID ${diffID}: ${state}`)
}
