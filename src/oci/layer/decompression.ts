import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib'
import { chunksOf } from '../chunks.ts'
import { OciError } from '../errors.ts'
import type { ArchiveLimits } from '../limits.ts'
import type { Compression } from '../media-type.ts'
import { withinRatio } from './ratio.ts'
import { ZstdFrameCutter } from './zstd-frames.ts'

/** Larger than Node's default of 16 KiB: half the time. */
const CHUNK_BYTES = 256 * 1024

/**
 * The uncompressed bytes: of all gzip members or zstd frames. Errors of the source come through as they are. A chunk of
 * the source is done with when the next one is asked for, and so is one of what is not compressed.
 * @throws OciError `layer-invalid` for bytes that are corrupt, cut off, or followed by others; `limit-exceeded`
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  limits?: Partial<ArchiveLimits>,
): AsyncGenerator<Buffer, void, undefined> {
  if (compression === 'gzip') yield* withinRatio(source, compression, gunzipped, limits)
  else if (compression === 'zstd') yield* withinRatio(source, compression, unzstd, limits)
  else for await (const chunk of source) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

function gunzipped(source: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  return decode(source, createGunzip({ chunkSize: CHUNK_BYTES }), 'gzip')
}

/** Node's decoder refuses windows beyond 128 MiB by itself. */
function unzstd(source: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  return decode(zstdFrames(source), createZstdDecompress({ chunkSize: CHUNK_BYTES }), 'zstd')
}

/** Layers are compressed by the first three, other archives also by the last two. */
export type DetectedCompression = Compression | 'xz' | 'bzip2'

/** By the first bytes: six are enough. What is not known counts as not compressed. */
export function detectCompression(head: Uint8Array): DetectedCompression {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1', 0, 6)
  const known = MAGICS.find(([, magic]) => text.startsWith(magic))
  if (known !== undefined) return known[0]
  return ZSTD_SKIPPABLE_FRAME.test(text) ? 'zstd' : 'none'
}

/** A stream, and what its first bytes say. */
export interface SniffedStream {
  readonly compression: DetectedCompression
  readonly isEmpty: boolean
  /** Its first bytes: as many as were asked for at least, or all. */
  readonly head: Buffer
  /** All of the stream: it ends the source when it ends, or is left early. */
  readonly whole: AsyncGenerator<Uint8Array, void, undefined>
}

/** Reads as much of the stream as tells how it is compressed. @throws what the source throws */
export async function sniffCompression(
  source: AsyncIterable<Uint8Array>,
  headBytes = MAGIC_BYTES,
): Promise<SniffedStream> {
  const rest = source[Symbol.asyncIterator]()
  const chunks: Uint8Array[] = []
  let length = 0
  while (length < headBytes) {
    const next = await rest.next()
    if (next.done === true) break
    // A chunk may be done with when the next one is asked for.
    chunks.push(next.value.length < headBytes ? Buffer.from(next.value) : next.value)
    length += next.value.length
  }
  const head = Buffer.concat(chunks)
  return {
    compression: detectCompression(head),
    isEmpty: length === 0,
    head,
    whole: rejoined(chunks, rest),
  }
}

async function* rejoined(
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* head
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}

const MAGIC_BYTES = 6

const MAGICS = [
  ['gzip', '\x1f\x8b\x08'],
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['xz', '\xfd7zXZ\0'],
  ['bzip2', 'BZh'],
] as const

const ZSTD_SKIPPABLE_FRAME = /^[\x50-\x5f]\*M\cX/

async function* decode(
  source: AsyncIterable<Uint8Array>,
  decoder: Gunzip | ZstdDecompress,
  compression: Compression,
): AsyncGenerator<Buffer, void, undefined> {
  const input = new DecoderInput(decoder)
  // The outcome is seen through the decoder.
  Promise.allSettled([input.feed(source)])
  try {
    yield* chunksOf(decoder)
  } catch (error) {
    if (input.failure !== undefined) throw input.failure.error
    if (isCodecError(error)) throw corrupt(compression, error.message, error)
    throw error
  } finally {
    // Also when it has ended, as it may before its input does: the source is then closed.
    decoder.destroy()
  }
  // Node's gunzip ends at the first zero byte after a member, and leaves the rest.
  if (decoder.bytesWritten !== input.size)
    throw corrupt(compression, 'other bytes follow the compressed ones')
}

/** Gives a decoder one chunk at a time: each is done with before the next one is asked for. */
class DecoderInput {
  readonly #decoder: Gunzip | ZstdDecompress
  #wake = (): void => undefined
  size = 0
  failure: { readonly error: unknown } | undefined

  constructor(decoder: Gunzip | ZstdDecompress) {
    this.#decoder = decoder
    // Of a chunk that it was given it then says nothing any more.
    decoder.once('close', () => this.#wake())
  }

  async feed(source: AsyncIterable<Uint8Array>): Promise<void> {
    const decoder = this.#decoder
    try {
      for await (const chunk of source) {
        this.size += chunk.length
        await this.#write(chunk)
        if (decoder.destroyed) return
      }
      decoder.end()
    } catch (error) {
      this.failure = { error }
      decoder.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #write(chunk: Uint8Array): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
      this.#decoder.write(chunk, () => resolve())
    })
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
