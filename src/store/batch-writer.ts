/** Network chunks are small, and each write costs a trip to another thread; but every upload under way holds two. */
const BATCH_BYTES = 256 * 1024

/**
 * Appends chunks to a file, in order, a batch at a time; while one batch is written the next is gathered, so that
 * hashing and writing overlap. Holds at most two batches. Chunks must not change after they were added.
 */
export class BatchWriter {
  readonly #write: (chunks: readonly Uint8Array[], position: number) => Promise<void>
  #position: number
  #batch: Uint8Array[] = []
  #batchBytes = 0
  #writing: Promise<void> = Promise.resolve()
  #failed = false

  /** @param write puts chunks at a position of the file */
  constructor(write: (chunks: readonly Uint8Array[], position: number) => Promise<void>, position: number) {
    this.#write = write
    this.#position = position
  }

  /** True once a write has failed; what is on disk is then a beginning of what was added. */
  get failed(): boolean {
    return this.#failed
  }

  /** @throws what an earlier write threw */
  async add(chunk: Uint8Array): Promise<void> {
    this.#batch.push(chunk)
    this.#batchBytes += chunk.length
    if (this.#batchBytes >= BATCH_BYTES) await this.#startWrite()
  }

  /** Returns when everything added is written (not yet durable). */
  async finish(): Promise<void> {
    if (this.#batchBytes > 0 && !this.#failed) await this.#startWrite()
    await this.#writing
  }

  async #startWrite(): Promise<void> {
    await this.#writing
    const writing = this.#write(this.#batch, this.#position)
    this.#writing = writing
    // A failure is told to whoever waits next; until then it must not count as unhandled.
    writing.catch(() => {
      this.#failed = true
    })
    this.#position += this.#batchBytes
    this.#batch = []
    this.#batchBytes = 0
  }
}
