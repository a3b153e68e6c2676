import type { TakeChunk } from '../oci/chunks.ts'
import type { ChunkSource } from '../oci/content.ts'
import { untilAborted } from './abortable.ts'

/**
 * Tells of every chunk, the next one when the one before is done with.
 * @throws what `take` throws, what ended the source early, or at once the signal's reason
 */
export async function eachChunk(source: ChunkSource, signal: AbortSignal, take: TakeChunk): Promise<void> {
  if ('pushTo' in source) return source.pushTo(take, signal)
  for await (const chunk of untilAborted(source, signal)) {
    const taken = take(chunk)
    if (taken !== undefined) await taken
  }
}
