import { type ChunkShares, ContentStream } from '../../store/content-stream.ts'
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

export interface GrowingContentDeps {
  /** Closed with the stream. */
  readonly file: StoreFile
  readonly growing: Growing
  readonly range: SatisfiableRange
  readonly shares: ChunkShares
  /** Called once. */
  readonly onClose: () => void
}

/**
 * Reads content while it is written, each reader at its own speed. The last byte is held back until all of it is
 * verified: a reader of anything else than what it asked for gets an error, never a clean end.
 */
export class GrowingContent extends ContentStream {
  readonly #deps: GrowingContentDeps
  #position: number

  constructor(deps: GrowingContentDeps) {
    super(deps.shares)
    this.#deps = deps
    this.#position = deps.range.start
  }

  protected override get left(): number {
    return Math.max(0, this.#deps.range.end + 1 - this.#position)
  }

  protected override readInto(buffer: Buffer, next: (bytes: Buffer) => void): void {
    this.#fill(buffer).then(
      got => next(buffer.subarray(0, got)),
      error => this.destroy(error),
    )
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { file, onClose } = this.#deps
    onClose()
    file.close().then(() => done(error), done)
  }

  /** Waits until there is something to read. */
  async #fill(buffer: Buffer): Promise<number> {
    const { file, growing } = this.#deps
    while (!this.destroyed) {
      const { outcome, version } = growing
      if (outcome instanceof Error) throw outcome
      if (this.left === 0) return 0
      const open = outcome === 'whole' ? this.left : this.left - 1
      const got = open === 0 ? 0 : await file.read(buffer.subarray(0, open), this.#position)
      this.#position += got
      if (got > 0) return got
      if (outcome === 'whole')
        throw new Error('Cannot read content that has just been stored: it is too short')
      await growing.changed(version)
    }
    return 0
  }
}
