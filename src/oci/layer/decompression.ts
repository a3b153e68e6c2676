import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib'
import { OciError } from '../errors.ts'
import type { Compression } from '../media-type.ts'
import { ZstdFrameCutter } from './zstd-frames.ts'

/** Larger than Node's default of 16 KiB: half the time. */
const CHUNK_BYTES = 256 * 1024

/**
 * The uncompressed bytes: of all gzip members or zstd frames. Errors of the source come through as they are.
 * @throws OciError `layer-invalid` for bytes that are corrupt, cut off, or followed by others
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Buffer, void, undefined> {
  if (compression === 'gzip') yield* decode(source, createGunzip({ chunkSize: CHUNK_BYTES }), compression)
  else if (compression === 'zstd')
    yield* decode(zstdFrames(source), createZstdDecompress({ chunkSize: CHUNK_BYTES }), compression)
  else for await (const chunk of source) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

async function* decode(
  source: AsyncIterable<Uint8Array>,
  decoder: Gunzip | ZstdDecompress,
  compression: Compression,
): AsyncGenerator<Buffer, void, undefined> {
  const input = new CountedSource(source)
  const feeding = pipeline(Readable.from(input), decoder)
  // The outcome of the pipeline is seen through the decoder, which it destroys with the error.
  Promise.allSettled([feeding])
  try {
    for await (const chunk of decoder) yield chunk
  } catch (error) {
    if (input.failure !== undefined) throw input.failure.error
    if (isCodecError(error)) throw corrupt(compression, error.message, error)
    throw error
  } finally {
    // Also when it has ended, as it may before its input does: the pipeline then closes the source.
    decoder.destroy()
  }
  // Node's gunzip ends at the first zero byte after a member, and leaves the rest.
  if (decoder.bytesWritten !== input.size)
    throw corrupt(compression, 'other bytes follow the compressed ones')
}

/** Tells what became of a source that a stream reads. */
class CountedSource implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>
  size = 0
  failure: { readonly error: unknown } | undefined

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of this.#source) {
        this.size += chunk.length
        yield chunk
      }
    } catch (error) {
      this.failure = { error }
      throw error
    }
  }
}

/** Node's decoder goes on with the next frame only at the start of a chunk; within one it drops the rest. */
async function* zstdFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const cutter = new ZstdFrameCutter()
  for await (const chunk of source) yield* cutter.cut(chunk)
}

function isCodecError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^(?:Z_|ZSTD_)/.test(String(error.code))
}

function corrupt(compression: Compression, problem: string, cause?: unknown): OciError {
  return new OciError('layer-invalid', `Cannot decompress ${compression}: ${problem}`, { cause })
}
