import type { DecompressError } from '../../linux/decompress.ts'
import { isErrno, OciError } from '../../oci/errors.ts'
import { decompress, type SniffedStream } from '../../oci/layer/decompression.ts'
import { withinRatio } from '../../oci/layer/ratio.ts'
import type { ArchiveLimits } from '../../oci/limits.ts'

/**
 * Bytes that may be compressed by anything, uncompressed. Errors that `isDamaged` knows come while it is read, and the
 * signal's reason.
 */
export async function uncompressed(
  { compression, whole }: Pick<SniffedStream, 'compression' | 'whole'>,
  signal: AbortSignal,
  limits?: Partial<ArchiveLimits>,
): Promise<AsyncIterable<Uint8Array>> {
  if (compression !== 'xz' && compression !== 'bzip2')
    return untilAborted(decompress(whole, compression, limits), signal)
  const { decompressWith } = await import('../../linux/decompress.ts')
  const unpack = (source: AsyncIterable<Uint8Array>) => decompressWith(compression, source)
  return untilAborted(withinRatio(whole, compression, unpack, limits), signal)
}

/** A few bytes can unpack to gigabytes of one file, or of nothing after the last. */
async function* untilAborted(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal) {
  for await (const chunk of bytes) {
    signal.throwIfAborted()
    yield chunk
  }
}

/** Bytes that are no tar, or not compressed as they say. */
export function isDamaged(error: unknown): boolean {
  if (error instanceof OciError) return error.code === 'tar-invalid' || error.code === 'layer-invalid'
  return isErrno(error, 'data-corrupt' satisfies DecompressError['code'])
}

/** The program that unpacks the format is not installed. */
export function isProgramMissing(error: unknown): boolean {
  return isErrno(error, 'program-missing' satisfies DecompressError['code'])
}
