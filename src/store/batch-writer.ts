/** Network chunks are small, and each write costs a trip to another thread; but every upload under way holds two. */
const BATCH_BYTES = 256 * 1024

/** What is made durable along the way, the commit of a large layer need not wait for. */
const SYNC_BYTES = 16 * 1024 * 1024

/** The part of a file that is written to. */
export interface BatchFile {
  /** Puts chunks at a position of the file. */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>
  /** Makes the bytes durable. */
  sync(): Promise<void>
}

/**
 * Appends chunks to a file, in order, a batch at a time; while one batch is written the next is gathered, so that
 * hashing and writing overlap. Holds at most two batches. Chunks must not change after they were added.
 */
export class BatchWriter {
  readonly #file: BatchFile
  #position: number
  #syncedTo: number
  #syncing: Promise<void> = Promise.resolve()
  #batch: Uint8Array[] = []
  #batchBytes = 0
  #writing: Promise<void> = Promise.resolve()
  #failed = false

  constructor(file: BatchFile, position: number) {
    this.#file = file
    this.#position = position
    this.#syncedTo = position
  }

  /** True once a write, or making one durable, has failed; what is on disk is then a beginning of what was added. */
  get failed(): boolean {
    return this.#failed
  }

  /** @throws what an earlier write threw */
  async add(chunk: Uint8Array): Promise<void> {
    this.#batch.push(chunk)
    this.#batchBytes += chunk.length
    if (this.#batchBytes >= BATCH_BYTES) await this.#startWrite()
  }

  /** Returns when everything added is written (most of it durable), and the file is at rest. */
  async finish(): Promise<void> {
    try {
      if (this.#batchBytes > 0 && !this.#failed) await this.#startWrite()
      await this.#writing
    } finally {
      await this.#syncing
    }
  }

  async #startWrite(): Promise<void> {
    await this.#writing
    if (this.#position - this.#syncedTo >= SYNC_BYTES) await this.#startSync()
    this.#writing = this.#noting(this.#file.write(this.#batch, this.#position))
    this.#position += this.#batchBytes
    this.#batch = []
    this.#batchBytes = 0
  }

  /** The kernel tells once that it lost bytes, so no failure may go by unseen. */
  async #startSync(): Promise<void> {
    await this.#syncing
    this.#syncing = this.#noting(this.#file.sync())
    this.#syncedTo = this.#position
  }

  /** A failure is told to whoever waits next; until then it must not count as unhandled. */
  #noting(work: Promise<void>): Promise<void> {
    work.catch(() => {
      this.#failed = true
    })
    return work
  }
}
