import { finished, type Readable } from 'node:stream'

/**
 * The chunks of a stream as they arrived, the next one taken from the stream when it is asked for. The stream is left
 * open, with what nobody read, when the reader stops.
 *
 * A stream's own iterator joins the chunks that wait into a new one: a second copy, and the first ones garbage outside
 * of the heap, for which the collector does not hurry. With hundreds of uploads that is most of the memory.
 * @throws what the stream failed with, or that it was closed before its end
 */
export async function* bodyChunks(body: Readable): AsyncGenerator<Buffer, void, void> {
  let chunk: Buffer | undefined
  let end: { readonly error?: Error | null } | undefined
  let wake = (): void => undefined
  const onData = (data: Buffer): void => {
    body.pause()
    chunk = data
    wake()
  }
  body.pause()
  body.on('data', onData)
  const forget = finished(body, { writable: false }, (error = null) => {
    end = { error }
    wake()
  })
  try {
    while (true) {
      const arrived = new Promise<void>(resolve => {
        wake = resolve
      })
      if (end === undefined) {
        body.resume()
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
    body.off('data', onData)
    body.pause()
  }
}
