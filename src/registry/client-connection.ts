/**
 * The request's body as handlers read it. A handler may stop reading half way (a chunk is too long, the disk is
 * full) and still has an answer to give; Node would close the connection under that answer, or wait for ever with
 * unread bytes in front of the next request. So a body is left open when its reader stops, and what nobody read is
 * drained.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A client that goes on sending for longer after a refusal loses its connection. */
const MAX_DRAINED_BYTES = 16 * 1024 * 1024

export interface ClientConnection {
  readonly body: AsyncIterable<Uint8Array>
  /** Aborted when the client is gone before its answer was. */
  readonly signal: AbortSignal
}

/** @param count is told the length of each part of the body that is read */
export function watchClient(
  request: IncomingMessage,
  response: ServerResponse,
  count: (length: number) => void,
): ClientConnection {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return {
    body: { [Symbol.asyncIterator]: () => counted(request.iterator({ destroyOnReturn: false }), count) },
    signal: gone.signal,
  }
}

async function* counted(
  body: AsyncIterable<Buffer>,
  count: (length: number) => void,
): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of body) {
    count(chunk.length)
    yield chunk
  }
}

/**
 * To be called with the answer: reads away what is still to come of the body, so that the connection can serve the
 * next request. What has all arrived, Node drops by itself.
 */
export function drainUnread(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  let drained = 0
  request.on('data', (chunk: Buffer) => {
    drained += chunk.length
    if (drained > MAX_DRAINED_BYTES) request.destroy()
  })
}
