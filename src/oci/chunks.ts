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

/** Gives back the memory of every chunk as soon as the next one is asked for: for a reader that has then copied it. */
export async function* freed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    yield chunk
    const { buffer } = chunk
    if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.byteLength) buffer.transfer(0)
  }
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
