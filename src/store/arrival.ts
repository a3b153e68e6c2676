/**
 * Content on its way into the store, that is read while it comes: the writer fills the file of an ingest, the reader
 * follows it at its own pace, neither holding up the other. A connection that breaks and is resumed, or a reader that
 * is late, is nothing special then.
 */
import type { ExpectedContent } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import type { DiskIngest } from './ingest.ts'
import type { StoreFile } from './store-files.ts'

export interface Arrival {
  /** Returns when the content is verified and stored. @throws what went wrong; nothing is then kept */
  readonly stored: Promise<void>
  /**
   * All bytes, to be asked for once. Ends after the content is stored. A chunk is done with when the next one is asked
   * for. @throws why it is not stored
   */
  read(): AsyncGenerator<Buffer, void, void>
  /** For whoever does not read. Safe to call at any time. */
  close(): Promise<void>
}

const READ_BYTES = 256 * 1024
/** What the ingest writes at once: looking sooner finds nothing. */
const STEP_BYTES = 256 * 1024

/** Starts to write. The ingest is the arrival's from now on. */
export async function receive(
  ingest: Pick<DiskIngest, 'append' | 'commit' | 'abort' | 'openFile'>,
  expected: ExpectedContent,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Arrival> {
  const growth = new Growth()
  const write = async (): Promise<void> => {
    try {
      await ingest.append(counted(source, expected, growth), signal)
      await ingest.commit(expected)
      growth.end()
    } catch (error) {
      growth.end({ error })
      await ingest.abort()
      throw error
    }
  }
  const file = await openFile(ingest)
  const stored = write()
  // Who reads learns of it too.
  stored.catch(() => undefined)
  return { stored, read: () => readGrowing(file, growth), close: () => file.close() }
}

async function openFile(ingest: Pick<DiskIngest, 'abort' | 'openFile'>): Promise<StoreFile> {
  try {
    return await ingest.openFile()
  } catch (error) {
    await ingest.abort()
    throw error
  }
}

/** Tells of bytes when the next ones are asked for: then the writer has them. Takes none that were not promised. */
async function* counted(
  source: AsyncIterable<Uint8Array>,
  { digest, size = Number.POSITIVE_INFINITY }: ExpectedContent,
  growth: Growth,
): AsyncGenerator<Uint8Array> {
  let left = size
  let untold = 0
  for await (const chunk of source) {
    left -= chunk.length
    if (left < 0)
      throw new OciError('size-mismatch', `Cannot store ${digest}: it goes on after its ${size} bytes`)
    yield chunk
    untold += chunk.length
    if (untold < STEP_BYTES) continue
    untold = 0
    growth.tell()
  }
}

async function* readGrowing(file: StoreFile, growth: Growth): AsyncGenerator<Buffer, void, void> {
  try {
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    for (let position = 0; ; ) {
      const { outcome, next } = growth
      if (outcome?.error !== undefined) throw outcome.error
      const got = await file.read(buffer, position)
      position += got
      if (got > 0) yield buffer.subarray(0, got)
      else if (outcome !== undefined) return
      else await next
    }
  } finally {
    await file.close()
  }
}

/** How far a writer is. */
class Growth {
  #next = Promise.withResolvers<void>()
  #outcome: { readonly error?: unknown } | undefined

  /** Undefined while more may come. */
  get outcome(): { readonly error?: unknown } | undefined {
    return this.#outcome
  }

  /** Settles with the next change. */
  get next(): Promise<void> {
    return this.#next.promise
  }

  tell(): void {
    const { resolve } = this.#next
    this.#next = Promise.withResolvers()
    resolve()
  }

  end(outcome: { readonly error?: unknown } = {}): void {
    this.#outcome = outcome
    this.tell()
  }
}
