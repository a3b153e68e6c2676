import { Readable } from 'node:stream'

/** Chunks as a stream of bytes. Destroying it ends at once whatever the chunks are waiting for. */
export class ContentStream extends Readable {
  readonly #chunks: AsyncGenerator<Buffer, void, void>
  readonly #closing: AbortController

  /** @param closing its signal ends the waits of the generator */
  constructor(chunks: AsyncGenerator<Buffer, void, void>, closing: AbortController) {
    super({ highWaterMark: 1024 * 1024 })
    this.#chunks = chunks
    this.#closing = closing
  }

  override _read(): void {
    this.#chunks.next().then(
      ({ done, value }) => this.push(done === true ? null : value),
      error => this.destroy(error),
    )
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#closing.abort()
    const finish = () => done(error)
    this.#chunks.return().then(finish, finish)
  }
}
