import { close, read } from 'node:fs'
import { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

/** Larger chunks mean fewer trips between threads; but every download under way holds two or three. */
const MAX_CHUNK_BYTES = 256 * 1024
const MIN_CHUNK_BYTES = 32 * 1024

/** What the chunks of all streams together may hold, as long as the smallest chunks allow it. */
const SHARED_BYTES = 2 * 1024 * 1024

export interface BlobStreams {
  /**
   * Reads bytes of an open file, both ends inclusive, and closes it. The fewer streams are open, the larger are their
   * chunks.
   */
  open(file: number, range: { readonly start: number; readonly end: number }): Readable
}

export function createBlobStreams(): BlobStreams {
  let open = 0
  const chunkBytes = (): number =>
    Math.max(MIN_CHUNK_BYTES, Math.min(MAX_CHUNK_BYTES, Math.floor(SHARED_BYTES / open)))
  return {
    open(file, range) {
      open++
      return new BlobStream(file, range, chunkBytes).once('close', () => {
        open--
      })
    },
  }
}

class BlobStream extends Readable {
  readonly #file: number
  readonly #end: number
  readonly #chunkBytes: () => number
  #position: number
  /** A file must not be closed under a read: its number may soon be another file's. */
  #reading = false
  #whenRead: (() => void) | undefined

  constructor(
    file: number,
    { start, end }: { readonly start: number; readonly end: number },
    chunkBytes: () => number,
  ) {
    // One chunk ahead of the reader.
    super({ highWaterMark: 1 })
    this.#file = file
    this.#position = start
    this.#end = end
    this.#chunkBytes = chunkBytes
  }

  override _read(): void {
    this.#readInto(Buffer.allocUnsafeSlow(Math.min(this.#chunkBytes(), this.#left)), bytes => {
      this.push(bytes.length === 0 ? null : bytes)
    })
  }

  /**
   * To the response of an HTTP/1 server all goes through one buffer, since that has handed the bytes to the kernel (or
   * encrypted them) when it calls back. Fresh buffers by the hundred become garbage that lies outside of the heap, for
   * which the collector does not hurry. Any other destination may keep what it was given, and gets its own chunks.
   */
  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { readonly end?: boolean }): T {
    if (!(destination instanceof ServerResponse) || options !== undefined || this.readableDidRead)
      return super.pipe(destination, options)
    this.#sendTo(destination)
    return destination
  }

  /** @param last the buffer that was sent before; a smaller one takes its place when more streams have been opened */
  #sendTo(response: ServerResponse, last = Buffer.alloc(0)): void {
    if (this.destroyed) return
    const share = this.#chunkBytes()
    const isFit = last.length > 0 && last.length <= 2 * share
    const buffer = isFit ? last : Buffer.allocUnsafeSlow(Math.min(share, this.#left))
    if (buffer !== last) last.buffer.transfer(0)
    this.#readInto(buffer, bytes => {
      if (bytes.length > 0) {
        // Errors reach whoever watches the response; the buffer is then nobody's.
        response.write(bytes, error => error ?? this.#sendTo(response, buffer))
        return
      }
      response.end()
      this.push(null)
      this.resume()
    })
  }

  get #left(): number {
    return Math.max(0, this.#end + 1 - this.#position)
  }

  /** Hands on the bytes that follow, as many as the buffer holds or there are; none at the end. */
  #readInto(buffer: Buffer, next: (bytes: Buffer) => void): void {
    const want = Math.min(buffer.length, this.#left)
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
