import { Readable } from 'node:stream'
import type { StoreFile } from '../../store/store-files.ts'
import type { SatisfiableRange } from '../http-range.ts'

/** Content on its way into the store. */
export interface Growing {
  /** `whole` is verified and stored, an error is the end; undefined while it grows. */
  readonly outcome: 'whole' | Error | undefined
  /** Another number after each change, so that none is missed. */
  readonly version: number
  /** Returns when the version is another one. */
  changed(version: number): Promise<void>
}

const CHUNK_BYTES = 128 * 1024

/**
 * Reads content while it is written, each reader at its own speed. The last byte is held back until all of it is
 * verified: a reader of anything else than what it asked for gets an error, never a clean end.
 */
export class GrowingContent extends Readable {
  readonly #file: StoreFile
  readonly #growing: Growing
  readonly #end: number
  readonly #onClose: () => void
  #position: number

  /** @param file closed with the stream @param onClose called once */
  constructor(file: StoreFile, growing: Growing, range: SatisfiableRange, onClose: () => void) {
    super({ highWaterMark: CHUNK_BYTES })
    this.#file = file
    this.#growing = growing
    this.#position = range.start
    this.#end = range.end
    this.#onClose = onClose
  }

  override _read(): void {
    this.#next().then(
      chunk => this.push(chunk),
      error => this.destroy(error),
    )
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#onClose()
    this.#file.close().then(() => done(error), done)
  }

  async #next(): Promise<Buffer | null> {
    while (!this.destroyed) {
      const { outcome, version } = this.#growing
      if (outcome instanceof Error) throw outcome
      if (this.#position > this.#end) return null
      const stop = outcome === 'whole' ? this.#end + 1 : this.#end
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, stop - this.#position))
      const got = chunk.length === 0 ? 0 : await this.#file.read(chunk, this.#position)
      this.#position += got
      if (got > 0) return chunk.subarray(0, got)
      if (outcome === 'whole')
        throw new Error('Cannot read content that has just been stored: it is too short')
      await this.#growing.changed(version)
    }
    return null
  }
}
