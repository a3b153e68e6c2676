/**
 * Network chunks lie outside of the heap, and the collector does not hurry for what lies there: hundreds of transfers
 * would hold hundreds of megabytes of chunks that are done with. So none is copied, and each is given back.
 */
import { finished, type Readable } from 'node:stream'

/**
 * The chunks of a stream as they arrived, the next one taken from the stream when it is asked for. The stream is left
 * open, with what nobody read, when the reader stops.
 *
 * A stream's own iterator joins the chunks that wait into a new one, and the first ones are garbage.
 * @throws what the stream failed with, or that it was closed before its end
 */
export async function* chunksOf(stream: Readable): AsyncGenerator<Buffer, void, void> {
  let chunk: Buffer | undefined
  let end: { readonly error?: Error | null } | undefined
  let wake = (): void => undefined
  const onData = (data: Buffer): void => {
    stream.pause()
    chunk = data
    wake()
  }
  stream.pause()
  stream.on('data', onData)
  const forget = finished(stream, { writable: false }, (error = null) => {
    end = { error }
    wake()
  })
  try {
    while (true) {
      const arrived = new Promise<void>(resolve => {
        wake = resolve
      })
      if (end === undefined) {
        stream.resume()
        await arrived
      }
      if (chunk !== undefined) {
        const next = chunk
        chunk = undefined
        yield next
      } else if (end?.error) throw end.error
      else return
    }
  } finally {
    forget()
    stream.off('data', onData)
    stream.pause()
  }
}

/** Told of a chunk, which is done with when the promise settles: at once where there is none. */
export type TakeChunk = (chunk: Uint8Array) => Promise<void> | undefined

/** Chunks that come to a function instead of being asked for: a promise for each costs as much as copying it. */
export interface PushedChunks {
  /** Settles after the last chunk. @throws what `take` does, and what ended the source early; never while a take is pending */
  pushTo(take: TakeChunk, signal: AbortSignal): Promise<void>
}

/** As `chunksOf`, and the memory of a chunk that is done with is given back. @throws also the signal's reason */
export function pushChunksOf(stream: Readable, take: TakeChunk, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let isTaking = false
  let end: { readonly error?: unknown } | undefined
  const endWith = (outcome: { readonly error?: unknown }): void => {
    end ??= outcome
    stream.off('data', onData)
    stream.pause()
    if (isTaking) return
    forget()
    signal.removeEventListener('abort', onAbort)
    if ('error' in end) reject(end.error)
    else resolve()
  }
  const onAbort = (): void => endWith({ error: signal.reason })
  const goOn = (): void => {
    isTaking = false
    if (end === undefined) stream.resume()
    else endWith(end)
  }
  const fail = (error: unknown): void => {
    isTaking = false
    endWith({ error })
  }
  const onData = (chunk: Buffer): void => {
    try {
      const taken = take(chunk)
      if (taken === undefined) giveBack(chunk)
      else {
        isTaking = true
        stream.pause()
        taken.then(() => giveBack(chunk)).then(goOn, fail)
      }
    } catch (error) {
      fail(error)
    }
  }
  const forget = finished(stream, { writable: false }, error => endWith(error ? { error } : {}))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  else stream.on('data', onData).resume()
  return promise
}

/** Gives back the memory of every chunk as soon as the next one is asked for: for a reader that has then copied it. */
export async function* freed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    yield chunk
    giveBack(chunk)
  }
}

function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

/** Buffers below may be Node's own, which hold others' bytes too. */
const OWN_BUFFER_BYTES = 64 * 1024

/** The same for chunks that share buffers: each is given back when the first chunk of another buffer has come. */
export async function* freedBuffers<Chunk extends Uint8Array>(
  source: AsyncIterable<Chunk>,
): AsyncGenerator<Chunk, void, undefined> {
  let last: ArrayBufferLike | undefined
  for await (const chunk of source) {
    const { buffer } = chunk
    if (last !== buffer && last instanceof ArrayBuffer && last.byteLength > OWN_BUFFER_BYTES) last.transfer(0)
    last = buffer
    yield chunk
  }
}
