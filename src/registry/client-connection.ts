/**
 * The request's body as handlers read it. A handler may stop reading half way (a chunk is too long, the disk is
 * full) and still has an answer to give; Node would close the connection under that answer, or wait for ever with
 * unread bytes in front of the next request. So a body is left open when its reader stops, and what nobody read is
 * drained.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { chunksOf, type PushedChunks, pushChunksOf, type TakeChunk } from '../oci/chunks.ts'
import { clientErrorAnswer } from './client-errors.ts'

/** A client that goes on sending for longer after a refusal loses its connection. */
const MAX_DRAINED_BYTES = 16 * 1024 * 1024

export interface ClientConnection {
  /** Both ways once. The memory of chunks that are pushed is given back. */
  readonly body: AsyncIterable<Uint8Array> & PushedChunks
  /** Aborted when the client is gone before its answer was. */
  readonly signal: AbortSignal
}

export interface ClientConnections {
  attach(server: Server): void
  /**
   * To be called as a request begins; a promise where it must wait until the one before it on the same connection is
   * answered. Node reads ahead, and a client that sends a PATCH and the closing PUT without waiting means them one
   * after the other.
   */
  begin(request: IncomingMessage, response: ServerResponse): Promise<void> | undefined
  /** @param count is told the length of each part of the body that is read */
  watch(request: IncomingMessage, response: ServerResponse, count: (length: number) => void): ClientConnection
  /**
   * To be called with the answer: reads away what is still to come of the body, so that the connection can serve the
   * next request. What has all arrived, Node drops by itself. False when the connection must be closed instead: a
   * client that was not told to go on may send its body or not, and nobody knows where its next request begins.
   */
  endReading(request: IncomingMessage, response: ServerResponse): boolean
  /** The handler of the server's `clientError`: what came is no HTTP. */
  refuse(error: Error, socket: Socket): void
}

/**
 * `Expect: 100-continue`: leave is given when a handler begins to read, so that a client whose push is refused (no such
 * upload, no right to push) has not sent its layer in vain.
 */
export function createClientConnections(): ClientConnections {
  const waiting = new WeakSet<ServerResponse>()
  /** The answer whose turn it is, and the last one in line. */
  const current = new WeakMap<Socket, ServerResponse>()
  const last = new WeakMap<Socket, ServerResponse>()
  return {
    attach(server) {
      server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
        waiting.add(response)
        server.emit('request', request, response)
      })
    },
    begin({ httpVersionMajor, socket }, response) {
      // In HTTP/2 requests of one connection have nothing to do with each other.
      if (httpVersionMajor !== 1) return undefined
      const before = last.get(socket)
      last.set(socket, response)
      if (before === undefined || before.closed) {
        current.set(socket, response)
        return undefined
      }
      return new Promise<void>(resolve =>
        before.once('close', () => {
          current.set(socket, response)
          resolve()
        }),
      )
    },
    watch: (request, response, count) =>
      new WatchedClient(response, () => {
        if (waiting.delete(response)) response.writeContinue()
        return new Body(request, count)
      }),
    endReading(request, response) {
      if (waiting.has(response)) return false
      drainUnread(request)
      return true
    },
    refuse(error, socket) {
      const response = current.get(socket)
      // An answer is on its way: whatever were written now would be taken for a part of it.
      const isAnswering = response?.headersSent === true && !response.writableFinished
      const answer = isAnswering ? undefined : clientErrorAnswer(error)
      if (socket.writable && answer !== undefined) socket.write(answer)
      socket.destroySoon()
    },
  }
}

/**
 * Most requests have no body and are answered at once: what watches is made when it is asked for. (A class: an object
 * with a getter of its own has a shape of its own, which outlives the request.)
 */
class WatchedClient implements ClientConnection {
  readonly #response: ServerResponse
  readonly #read: () => Body
  #signal: AbortSignal | undefined

  constructor(response: ServerResponse, read: () => Body) {
    this.#response = response
    this.#read = read
  }

  get body(): AsyncIterable<Uint8Array> & PushedChunks {
    return {
      [Symbol.asyncIterator]: () => this.#read().chunks(),
      pushTo: (take, signal) => this.#read().pushTo(take, signal),
    }
  }

  get signal(): AbortSignal {
    this.#signal ??= goneSignal(this.#response)
    return this.#signal
  }
}

function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  const check = (): void => {
    if (!response.writableFinished) gone.abort()
  }
  if (response.closed) check()
  else response.once('close', check)
  return gone.signal
}

/** A body that somebody has begun to read. */
class Body implements PushedChunks {
  readonly #request: IncomingMessage
  readonly #count: (length: number) => void

  constructor(request: IncomingMessage, count: (length: number) => void) {
    this.#request = request
    this.#count = count
  }

  async *chunks(): AsyncGenerator<Buffer, void, void> {
    for await (const chunk of chunksOf(this.#request)) {
      this.#count(chunk.length)
      yield chunk
    }
  }

  pushTo(take: TakeChunk, signal: AbortSignal): Promise<void> {
    const countAndTake: TakeChunk = chunk => {
      this.#count(chunk.length)
      return take(chunk)
    }
    return pushChunksOf(this.#request, countAndTake, signal)
  }
}

/** Reads away what is still to come of a body that nobody wants. */
export function drainUnread(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  let drained = 0
  request.on('data', (chunk: Buffer) => {
    drained += chunk.length
    if (drained > MAX_DRAINED_BYTES) request.destroy()
  })
  request.resume()
}
