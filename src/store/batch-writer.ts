import type { BufferPool } from './buffer-pool.ts'

/** What is made durable along the way, the commit of a large layer need not wait for. */
const SYNC_BYTES = 16 * 1024 * 1024

/** The part of a file that is written to. */
export interface BatchFile {
  /** Puts a chunk at a position of the file; in order, the next one when this returns. */
  write(chunk: Uint8Array, position: number): Promise<void>
  /** Makes the bytes durable. */
  sync(): Promise<void>
}

/**
 * Appends chunks to a file, in order. Network chunks are small, and each write costs a trip to another thread, so
 * they are gathered in buffers of the pool; while one is written the next is filled, so that hashing and writing
 * overlap. Chunks are copied: what they lie in is free again at once, however slow the rest of an upload is. With
 * very many uploads under way the pool is empty, and a chunk is written by itself: memory stays bounded.
 */
export class BatchWriter {
  readonly #file: BatchFile
  readonly #pool: BufferPool
  #position: number
  #syncedTo: number
  #syncing: Promise<void> = Promise.resolve()
  #buffer: Buffer | undefined
  #filled = 0
  #writing: Promise<void> = Promise.resolve()
  #failed = false

  constructor(file: BatchFile, position: number, pool: BufferPool) {
    this.#file = file
    this.#pool = pool
    this.#position = position
    this.#syncedTo = position
  }

  /** True once a write, or making one durable, has failed; what is on disk is then a beginning of what was added. */
  get failed(): boolean {
    return this.#failed
  }

  /** The chunk is the caller's again when this returns, or the promise settles. @throws what an earlier write threw */
  add(chunk: Uint8Array): Promise<void> | undefined {
    this.#buffer ??= this.#pool.take()
    if (this.#buffer === undefined || this.#filled + chunk.length >= this.#buffer.length)
      return this.#addAndWrite(chunk)
    this.#buffer.set(chunk, this.#filled)
    this.#filled += chunk.length
    return undefined
  }

  async #addAndWrite(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0; ) {
      this.#buffer ??= this.#pool.take()
      if (this.#buffer === undefined) {
        await this.#startWrite(rest)
        return this.#writing
      }
      const taken = rest.subarray(0, this.#buffer.length - this.#filled)
      this.#buffer.set(taken, this.#filled)
      this.#filled += taken.length
      rest = rest.subarray(taken.length)
      if (this.#filled === this.#buffer.length) await this.#writeBuffer()
    }
  }

  /** Returns when everything added is written (most of it durable), and the file is at rest. To be called in any case. */
  async finish(): Promise<void> {
    try {
      if (this.#filled > 0 && !this.#failed) await this.#writeBuffer()
      await this.#writing
    } finally {
      this.#release()
      await this.#syncing
    }
  }

  async #writeBuffer(): Promise<void> {
    const buffer = this.#buffer
    if (buffer === undefined) return
    await this.#startWrite(buffer.subarray(0, this.#filled))
    this.#buffer = undefined
    this.#filled = 0
    const give = (): void => this.#pool.give(buffer)
    this.#writing.then(give, give)
  }

  #release(): void {
    if (this.#buffer !== undefined) this.#pool.give(this.#buffer)
    this.#buffer = undefined
    this.#filled = 0
  }

  async #startWrite(bytes: Uint8Array): Promise<void> {
    await this.#writing
    if (this.#position - this.#syncedTo >= SYNC_BYTES) await this.#startSync()
    this.#writing = this.#noting(this.#file.write(bytes, this.#position))
    this.#position += bytes.length
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
