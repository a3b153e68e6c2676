import { close, read, readSync } from 'node:fs'
import { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { ChunkShares, ContentStream } from './content-stream.ts'
import { createDirectSends, type DirectSends, type FileSender } from './direct-send.ts'

export interface BlobStreams {
  /**
   * Reads bytes of an open file, both ends inclusive, and closes it. The fewer streams are open, the larger are their
   * chunks.
   */
  open(file: number, range: { readonly start: number; readonly end: number }): Readable
}

/** @param sender lets the kernel send files to connections */
export function createBlobStreams(sender?: FileSender): BlobStreams {
  const shares = new ChunkShares()
  const direct = sender && createDirectSends(sender)
  return { open: (file, range) => new BlobStream(file, range, shares, direct) }
}

/** Of what goes the ordinary way, where the kernel sends the rest. */
const DIRECT_CHUNK_BYTES = 16 * 1024

class BlobStream extends ContentStream {
  readonly #file: number
  readonly #end: number
  #position: number
  /** A file must not be closed under a read: its number may soon be another file's. */
  #reading = false
  #whenRead: (() => void) | undefined
  #direct: DirectSends | undefined
  #isDirect = false
  #sentDirectly = 0

  constructor(
    file: number,
    { start, end }: { readonly start: number; readonly end: number },
    shares: ChunkShares,
    direct: DirectSends | undefined,
  ) {
    super(shares)
    this.#direct = direct
    this.#file = file
    this.#position = start
    this.#end = end
  }

  protected override get left(): number {
    return Math.max(0, this.#end + 1 - this.#position)
  }

  override get sentPastNode(): number {
    return this.#sentDirectly
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { readonly end?: boolean }): T {
    this.#isDirect = destination instanceof ServerResponse && this.#direct?.isPossible(destination) === true
    return super.pipe(destination, options)
  }

  protected override get chunkBytes(): number {
    return this.#isDirect ? DIRECT_CHUNK_BYTES : super.chunkBytes
  }

  protected override sendBetween(response: ServerResponse, then: () => void): void {
    if (!this.#isDirect || this.#direct === undefined) {
      then()
      return
    }
    const part = {
      file: this.#file,
      isOpen: () => !this.destroyed,
      position: () => this.#position,
      left: () => this.left,
      sent: (count: number) => {
        this.#position += count
        this.#sentDirectly += count
      },
      failed: (error: Error) => void this.destroy(error),
    }
    this.#direct.send(response, part, then)
  }

  protected override readInto(buffer: Buffer, next: (bytes: Buffer) => void): void {
    const want = Math.min(buffer.length, this.left)
    if (want === 0) {
      next(buffer.subarray(0, 0))
      return
    }
    const done = (error: Error | null, got: number): void => {
      if (error !== null) this.destroy(error)
      else if (got === 0) this.destroy(new Error('the file ends before its content'))
      else {
        this.#position += got
        next(buffer.subarray(0, got))
      }
    }
    // What is in memory costs less to read than to ask another thread for.
    if (this.#isDirect && this.#direct?.isCached(this.#file, this.#position + want - 1)) {
      readNow(this.#file, buffer.subarray(0, want), this.#position, done)
      return
    }
    this.#reading = true
    read(this.#file, buffer, 0, want, this.#position, (error, got) => {
      this.#reading = false
      if (this.#whenRead !== undefined) this.#whenRead()
      else done(error, got)
    })
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const closeFile = (): void => close(this.#file, closed => done(error ?? closed))
    if (this.#reading) this.#whenRead = closeFile
    else closeFile()
  }
}

function readNow(
  file: number,
  buffer: Buffer,
  position: number,
  done: (error: Error | null, got: number) => void,
): void {
  let got = 0
  try {
    got = readSync(file, buffer, 0, buffer.length, position)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    done(error, 0)
    return
  }
  done(null, got)
}
