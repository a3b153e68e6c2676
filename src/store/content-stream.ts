import { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'

/** Larger chunks mean fewer trips between threads; but every download under way holds two or three. */
const MAX_CHUNK_BYTES = 256 * 1024
const MIN_CHUNK_BYTES = 32 * 1024

/** What the chunks of all streams together may hold, as long as the smallest chunks allow it. */
const SHARED_BYTES = 2 * 1024 * 1024

/** How large the chunks of streams are that share memory: the fewer are open, the larger. */
export class ChunkShares {
  #open = 0

  get bytes(): number {
    return Math.max(MIN_CHUNK_BYTES, Math.min(MAX_CHUNK_BYTES, Math.floor(SHARED_BYTES / this.#open)))
  }

  /** Counts the stream in until it is closed. */
  add(stream: Readable): void {
    this.#open++
    stream.once('close', () => {
      this.#open--
    })
  }
}

/** A stream of bytes that are read from somewhere, a file as a rule, into a buffer. */
export abstract class ContentStream extends Readable {
  readonly #shares: ChunkShares

  constructor(shares: ChunkShares) {
    // One chunk ahead of the reader.
    super({ highWaterMark: 1 })
    this.#shares = shares
    shares.add(this)
  }

  /** How many bytes are still to be read. */
  protected abstract readonly left: number

  /**
   * Hands on the bytes that follow, in the beginning of the buffer: as many as it holds, or there are; none at the end.
   * Destroys the stream instead when it fails.
   */
  protected abstract readInto(buffer: Buffer, next: (bytes: Buffer) => void): void

  /** How many bytes of it went to a response past Node, which does not count them. */
  get sentPastNode(): number {
    return 0
  }

  protected get chunkBytes(): number {
    return this.#shares.bytes
  }

  /** Between two chunks to a response, both with the kernel: may send of what follows in a way of its own. */
  protected sendBetween(_response: ServerResponse, then: () => void): void {
    then()
  }

  override _read(): void {
    this.readInto(this.#buffer(), bytes => {
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
    const isFit = last.length > 0 && last.length <= 2 * this.chunkBytes
    const buffer = isFit ? last : this.#buffer()
    if (buffer !== last) last.buffer.transfer(0)
    this.readInto(buffer, bytes => {
      // What was cut must not look as if it had ended.
      if (this.destroyed) return
      if (bytes.length > 0) {
        // Errors reach whoever watches the response; the buffer is then nobody's.
        const goOn = (): void => this.sendBetween(response, () => this.#sendTo(response, buffer))
        response.write(bytes, error => error ?? goOn())
        return
      }
      response.end()
      this.push(null)
      this.resume()
    })
  }

  #buffer(): Buffer<ArrayBuffer> {
    return Buffer.allocUnsafeSlow(Math.min(this.chunkBytes, this.left))
  }
}
