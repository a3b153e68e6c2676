import { close, read } from 'node:fs'
import type { Readable } from 'node:stream'
import { ChunkShares, ContentStream } from './content-stream.ts'

export interface BlobStreams {
  /**
   * Reads bytes of an open file, both ends inclusive, and closes it. The fewer streams are open, the larger are their
   * chunks.
   */
  open(file: number, range: { readonly start: number; readonly end: number }): Readable
}

export function createBlobStreams(): BlobStreams {
  const shares = new ChunkShares()
  return { open: (file, range) => new BlobStream(file, range, shares) }
}

class BlobStream extends ContentStream {
  readonly #file: number
  readonly #end: number
  #position: number
  /** A file must not be closed under a read: its number may soon be another file's. */
  #reading = false
  #whenRead: (() => void) | undefined

  constructor(
    file: number,
    { start, end }: { readonly start: number; readonly end: number },
    shares: ChunkShares,
  ) {
    super(shares)
    this.#file = file
    this.#position = start
    this.#end = end
  }

  protected override get left(): number {
    return Math.max(0, this.#end + 1 - this.#position)
  }

  protected override readInto(buffer: Buffer, next: (bytes: Buffer) => void): void {
    const want = Math.min(buffer.length, this.left)
    if (want === 0) {
      next(buffer.subarray(0, 0))
      return
    }
    this.#reading = true
    read(this.#file, buffer, 0, want, this.#position, (error, got) => {
      this.#reading = false
      if (this.#whenRead !== undefined) this.#whenRead()
      else if (error !== null) this.destroy(error)
      else if (got === 0) this.destroy(new Error('the file ends before its content'))
      else {
        this.#position += got
        next(buffer.subarray(0, got))
      }
    })
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const closeFile = (): void => close(this.#file, closed => done(error ?? closed))
    if (this.#reading) this.#whenRead = closeFile
    else closeFile()
  }
}
