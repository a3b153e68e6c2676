/**
 * Compression of layers. The compressed bytes are a function of the uncompressed ones (with a level of gzip, and for
 * zstd, of the libraries in Node as well): not of how they arrive in chunks, nor of how many threads work.
 *
 * Both formats are made of fixed blocks that are compressed side by side:
 *
 * - gzip: one member. Each block is deflated with the 32 KiB before it as dictionary and flushed to a byte
 *   boundary, so that the joined blocks are one deflate stream; an empty last block ends it. The default level is
 *   that of our own deflate, the others are zlib's.
 * - zstd: a frame per block. A file of several frames is a zstd file (RFC 8878, section 3).
 */
import { promisify } from 'node:util'
import { constants, crc32, deflateRaw, zstdCompress } from 'node:zlib'
import { freedBuffers } from '../chunks.ts'
import type { Compression } from '../media-type.ts'
import type { DeflateThreads } from './deflate/deflater.ts'
import { createBlockPool, gzip } from './deflate/gzip.ts'
import { GZIP_HEADER, gzipEnd } from './gzip-member.ts'

/**
 * A chunk may be used until the next one is asked for: its memory is taken again then.
 * @param level of `COMPRESSION_LEVELS`; what is not compressed has none
 */
export type Compress = (
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  level?: number,
) => AsyncGenerator<Buffer, void, undefined>

export function createCompress(threads: DeflateThreads): Compress {
  const pool = createBlockPool()
  return (source, compression, level = COMPRESSION_LEVELS[compression]?.default) => {
    if (compression === 'none' || level === undefined) return passThrough(source)
    if (compression === 'zstd') return zstd(source, level)
    if (level === COMPRESSION_LEVELS.gzip?.default) return gzip(source, threads, pool)
    return zlibGzip(source, level)
  }
}

export interface CompressionLevels {
  readonly min: number
  readonly max: number
  readonly default: number
}

/** The scales of zlib and libzstd. What our own deflate makes is as small as what zlib makes at level 6. */
export const COMPRESSION_LEVELS: Readonly<Record<Compression, CompressionLevels | undefined>> = {
  none: undefined,
  gzip: { min: 0, max: 9, default: 6 },
  zstd: { min: 1, max: 22, default: 3 },
}

const KIB = 1024
const GZIP_BLOCK_BYTES = 512 * KIB
/** How far deflate looks back. */
const GZIP_WINDOW_BYTES = 32 * KIB
/** Large against the window of the default level (2 MiB), because frames do not see each other. */
const ZSTD_BLOCK_BYTES = 4 * KIB * KIB
/** Enough for libuv's four threads; bounds what is held in memory. */
const GZIP_BLOCKS_IN_FLIGHT = 8
const ZSTD_BLOCKS_IN_FLIGHT = 4

async function* passThrough(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

async function* zlibGzip(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Buffer, void, undefined> {
  let checksum = 0
  let size = 0
  let dictionary: Buffer | undefined
  const deflateNext = (block: Buffer): Promise<Buffer> => {
    const deflated = deflateBlock(block, dictionary, level)
    checksum = crc32(block, checksum)
    size += block.length
    dictionary = Buffer.from(block.subarray(-GZIP_WINDOW_BYTES))
    return deflated
  }
  yield GZIP_HEADER
  yield* freedBuffers(inParallel(blocksOf(source, GZIP_BLOCK_BYTES), deflateNext, GZIP_BLOCKS_IN_FLIGHT))
  yield gzipEnd(checksum, size)
}

async function* zstd(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Buffer, void, undefined> {
  let isEmpty = true
  const compressNext = (block: Buffer): Promise<Buffer> => {
    isEmpty = false
    return zstdFrame(block, level)
  }
  yield* freedBuffers(inParallel(blocksOf(source, ZSTD_BLOCK_BYTES), compressNext, ZSTD_BLOCKS_IN_FLIGHT))
  if (isEmpty) yield zstdFrame(Buffer.alloc(0), level)
}

async function deflateBlock(block: Buffer, dictionary: Buffer | undefined, level: number): Promise<Buffer> {
  const deflated = await promisify(deflateRaw)(block, {
    level,
    finishFlush: constants.Z_SYNC_FLUSH,
    // One trip to the thread pool per block, whose output is hardly ever larger than its input.
    chunkSize: GZIP_BLOCK_BYTES + KIB,
    ...(dictionary !== undefined && { dictionary }),
  })
  return withoutSpareRoom(deflated)
}

async function zstdFrame(block: Buffer, level: number): Promise<Buffer> {
  const frame = await promisify(zstdCompress)(block, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
    chunkSize: ZSTD_BLOCK_BYTES + 64 * KIB,
  })
  return withoutSpareRoom(frame)
}

/** A few bytes of a large output buffer keep all of it: whoever collects them would hold what was compressed. */
function withoutSpareRoom(bytes: Buffer): Buffer {
  if (bytes.length >= bytes.buffer.byteLength / 2) return bytes
  const copy = Buffer.from(bytes)
  if (bytes.buffer.byteLength >= GZIP_BLOCK_BYTES) giveBack(bytes)
  return copy
}

/** Of a large buffer that is nobody else's: it lies outside of the heap, and the collector does not hurry for it. */
function giveBack({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** The same bytes in blocks of this size, the last one smaller, each in memory of its own; none for no bytes. */
async function* blocksOf(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Buffer, void, undefined> {
  let block = Buffer.allocUnsafe(size)
  let filled = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(chunk.length - at, size - filled)
      block.set(chunk.subarray(at, at + taken), filled)
      at += taken
      filled += taken
      if (filled < size) continue
      yield block
      block = Buffer.allocUnsafe(size)
      filled = 0
    }
  }
  if (filled > 0) yield block.subarray(0, filled)
}

/** Results in the order of the blocks, which are given back. However it ends, no work is left running. */
async function* inParallel(
  blocks: AsyncIterable<Buffer>,
  work: (block: Buffer) => Promise<Buffer>,
  limit: number,
): AsyncGenerator<Buffer, void, undefined> {
  const running: Promise<Buffer>[] = []
  try {
    for await (const block of blocks) {
      const result = work(block).finally(() => giveBack(block))
      // It may fail while an earlier one is awaited: that must not count as unhandled.
      Promise.allSettled([result])
      running.push(result)
      const oldest = running.length >= limit ? running.shift() : undefined
      if (oldest !== undefined) yield oldest
    }
    for (let oldest = running.shift(); oldest !== undefined; oldest = running.shift()) yield oldest
  } finally {
    await Promise.allSettled(running)
  }
}
