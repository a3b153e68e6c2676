import { type ArchiveLimits, DEFAULT_LIMITS, limitExceeded, RATIO_FREE_BYTES } from '../limits.ts'

/**
 * What `unpack` makes of the source, as long as it is no bomb: few bytes that become very many.
 * @param name for messages: `gzip`
 * @throws OciError `limit-exceeded`; what `unpack` throws
 */
export async function* withinRatio<Chunk extends Uint8Array>(
  source: AsyncIterable<Uint8Array>,
  name: string,
  unpack: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Chunk>,
  limits: Partial<ArchiveLimits> = {},
): AsyncGenerator<Chunk, void, undefined> {
  const { archiveRatio, archiveBytes } = { ...DEFAULT_LIMITS, ...limits }
  let packed = 0
  let unpacked = 0
  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of source) {
      packed += chunk.length
      yield chunk
    }
  }
  for await (const chunk of unpack(counted())) {
    unpacked += chunk.length
    if (unpacked > archiveBytes)
      throw limitExceeded('archiveBytes', archiveBytes, `Cannot decompress ${name}: there is too much in it`)
    if (unpacked - RATIO_FREE_BYTES > packed * archiveRatio)
      throw limitExceeded(
        'archiveRatio',
        archiveRatio,
        `Cannot decompress ${name}: ${packed} bytes become more than ${unpacked}`,
      )
    yield chunk
  }
}
