import type { ReceivedLayer } from '../../store/layers.ts'
import type { LayerRecord } from '../../store/metadata.ts'

/** What is to be read: of a layer that is stored already there is nothing more to wait for. */
export type UnreadTar = Pick<ReceivedLayer, 'tar'> & Partial<ReceivedLayer>

/** A layer that is read once, by whoever comes first; the others wait for what that brings to light. */
export class FirstReading {
  readonly #recordOf: () => LayerRecord | undefined
  readonly #layer: UnreadTar | undefined
  readonly #record = Promise.withResolvers<LayerRecord>()
  #reading: AsyncGenerator<Buffer, void, undefined> | undefined

  /**
   * @param recordOf what is known of the layer; something, once it has been read
   * @param layer undefined where it was read before
   */
  constructor(recordOf: () => LayerRecord | undefined, layer?: UnreadTar) {
    this.#recordOf = recordOf
    this.#layer = layer
    this.#record.promise.catch(() => undefined)
    if (layer === undefined) this.#resolve()
  }

  /** Settles when the layer has been read. */
  get record(): Promise<LayerRecord> {
    return this.#record.promise
  }

  /** For the one who reads; undefined where that is, or was, somebody else. */
  take(): AsyncGenerator<Buffer, void, undefined> | undefined {
    if (this.#layer === undefined || this.#reading !== undefined) return undefined
    this.#reading = this.#read(this.#layer.tar)
    return this.#reading
  }

  /** Ends it where nobody reads; returns when nothing of it goes on. */
  async close(reason: unknown): Promise<void> {
    this.#record.reject(reason)
    if (this.#reading === undefined) await this.#layer?.close?.()
    await Promise.allSettled([this.#layer?.stored])
  }

  async *#read(tar: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* tar
      this.#resolve()
    } catch (error) {
      this.#record.reject(error)
      throw error
    } finally {
      this.#record.reject(new Error('Cannot read layer: its reader has left'))
    }
  }

  #resolve(): void {
    const record = this.#recordOf()
    if (record === undefined) throw new Error('Cannot read layer: it is gone as soon as it was stored')
    this.#record.resolve(record)
  }
}
