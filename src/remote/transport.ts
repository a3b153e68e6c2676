/**
 * One HTTP request over kept-alive connections of node:http. It knows nothing of registries: no redirects, no
 * retries, no credentials. What it promises is that nothing hangs: the clock runs whenever the other side owes us
 * something (a connection, room for more bytes, a response, the next bytes of a body), and stands still while we
 * are the ones who are slow.
 */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { chunksOf } from '../oci/chunks.ts'
import type { ConnectionRequest, Connections, Routes } from './connections.ts'
import { connectionError } from './errors.ts'
import { isInternalAddress } from './internal-address.ts'
import { Watchdog } from './watchdog.ts'

export interface HttpRequest extends ConnectionRequest {
  /** A stream needs a `content-length` among the headers, and cannot be sent again. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
  /** How long the response may take after the request is sent, if not the transport's own patience. */
  readonly responseTimeoutMs?: number
}

/** A response whose body must be read to its end, or dropped. */
export interface HttpResponse {
  /** Of the request that got it. */
  readonly url: URL
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Whether an address of this machine answered: what it points at may be here too. */
  readonly isInside?: boolean
  /**
   * @param kind a small one has to be there within the transport's `answerMs`
   * @throws RemoteError `registry-unreachable` when it breaks or stalls; the signal's reason
   */
  body(kind?: 'content' | 'small'): AsyncGenerator<Buffer, void, void>
  drop(): void
}

/** Another implementation may go through a proxy. */
export interface Transport extends Disposable {
  /** @throws RemoteError `registry-unreachable`, `tls-failed`, `response-invalid`; the signal's reason; the body's own error */
  send(request: HttpRequest): Promise<HttpResponse>
}

export interface Timeouts {
  /** For the connection, TLS included. */
  readonly connectMs: number
  /** Without a byte from the other side, or room to send one. */
  readonly idleMs: number
  /** For the whole of an answer that is small by its nature: a manifest, a token, a list. */
  readonly answerMs?: number
}

export const DEFAULT_TIMEOUTS: Required<Timeouts> = { connectMs: 15_000, idleMs: 60_000, answerMs: 300_000 }

/** A body of up to this is cheaper to read over than a new connection is. */
const DRAINED_BYTES = 16 * 1024

export interface TransportOptions extends Routes {
  readonly timeouts?: Timeouts
}

export function createTransport(options: TransportOptions = {}): Transport {
  const { timeouts = DEFAULT_TIMEOUTS } = options
  let connections: Promise<Connections> | undefined
  // Most builds ask nobody, and TLS takes as long to load as all the rest.
  const openConnections = async (): Promise<Connections> => {
    const { createConnections } = await import('./connections.ts')
    return createConnections(options, timeouts.connectMs)
  }
  return {
    async send(request) {
      const { url, signal } = request
      signal.throwIfAborted()
      connections ??= openConnections()
      const outgoing = await (await connections).request(request)
      let message: IncomingMessage | undefined
      const { promise: given, reject: giveUp } = Promise.withResolvers<never>()
      given.catch(() => undefined)
      // Destroyed with its request, a response would only tell that its connection broke. A request that waits for a
      // tunnel does not even tell that it was destroyed.
      const watch = new Watchdog(error => {
        const open = message ?? outgoing
        open.destroy(error)
        giveUp(error)
      }, url)
      const abort = () => {
        message?.destroy()
        giveUp(signal.reason)
      }
      signal.addEventListener('abort', abort, { once: true })
      try {
        message = await Promise.race([exchange(outgoing, request, watch, timeouts), given])
        message.once('close', () => signal.removeEventListener('abort', abort))
        return new IncomingResponse(request, message, watch, timeouts)
      } catch (error) {
        signal.removeEventListener('abort', abort)
        watch.stop()
        outgoing.destroy()
        signal.throwIfAborted()
        throw connectionError(error, url)
      }
    },
    [Symbol.dispose]: () =>
      void connections?.then(
        opened => opened[Symbol.dispose](),
        // Whoever asked for the first connection was told.
        () => undefined,
      ),
  }
}

/** Sends the body while listening for the response, which may come before the body has gone out (a refusal). */
async function exchange(
  outgoing: ClientRequest,
  request: HttpRequest,
  watch: Watchdog,
  timeouts: Timeouts,
): Promise<IncomingMessage> {
  const { promise: response, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  let isAnswered = false
  outgoing.on('response', message => {
    isAnswered = true
    watch.stop()
    // A request that was refused half-way will never be finished, and its connection is of no more use.
    message.once('close', () => outgoing.writableFinished || outgoing.destroy())
    resolve(message)
  })
  outgoing.on('error', reject)
  watch.start(timeouts.connectMs, 'connect')
  const { body, responseTimeoutMs = timeouts.idleMs } = request
  const isStream = body !== undefined && !(body instanceof Uint8Array)
  if (!isStream) outgoing.end(body)
  await Promise.race([connected(outgoing), response])
  watch.stop()
  if (isStream)
    await Promise.race([sendStream(outgoing, body, watch, timeouts.idleMs, () => isAnswered), response])
  if (!isAnswered) watch.start(responseTimeoutMs, 'answer')
  return response
}

async function connected(outgoing: ClientRequest): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  outgoing.once('close', resolve)
  outgoing.once('socket', socket => {
    if (socket.connecting) socket.once('encrypted' in socket ? 'secureConnect' : 'connect', resolve)
    else resolve()
  })
  await promise
}

async function sendStream(
  outgoing: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  watch: Watchdog,
  idleMs: number,
  isAnswered: () => boolean,
): Promise<void> {
  for await (const chunk of body) {
    if (isAnswered() || outgoing.destroyed) return
    if (outgoing.write(chunk)) continue
    watch.start(idleMs, 'take more data')
    await canGoOn(outgoing)
    watch.stop()
  }
  if (!isAnswered()) outgoing.end()
}

/** Waits until more can be written, or nothing needs to be any more. */
async function canGoOn(outgoing: ClientRequest): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const events = ['drain', 'close', 'response']
  for (const event of events) outgoing.on(event, resolve)
  await promise
  for (const event of events) outgoing.off(event, resolve)
}

class IncomingResponse implements HttpResponse {
  readonly url: URL
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly isInside: boolean
  readonly #message: IncomingMessage
  readonly #watch: Watchdog
  readonly #timeouts: Timeouts
  readonly #request: HttpRequest

  constructor(request: HttpRequest, message: IncomingMessage, watch: Watchdog, timeouts: Timeouts) {
    this.url = request.url
    this.#request = request
    this.status = message.statusCode ?? 0
    this.headers = message.headers
    this.isInside = isInternalAddress(message.socket.remoteAddress ?? '')
    this.#message = message
    this.#watch = watch
    this.#timeouts = timeouts
  }

  async *body(kind: 'content' | 'small' = 'content'): AsyncGenerator<Buffer, void, void> {
    const { idleMs, answerMs = DEFAULT_TIMEOUTS.answerMs } = this.#timeouts
    // A byte now and then keeps the watch from barking, and a small answer from ever ending.
    const whole = new Watchdog(error => this.#message.destroy(error), this.url)
    if (kind === 'small') whole.start(answerMs, 'end its answer')
    try {
      this.#watch.start(idleMs, 'send more data')
      for await (const chunk of chunksOf(this.#message)) {
        this.#watch.stop()
        yield chunk
        this.#watch.start(idleMs, 'send more data')
      }
    } catch (error) {
      this.#request.signal.throwIfAborted()
      throw connectionError(error, this.url)
    } finally {
      this.#watch.stop()
      whole.stop()
      // Of an answer that was read to its end, this closes nothing.
      this.#message.destroy()
    }
  }

  drop(): void {
    const message = this.#message
    message.on('error', () => undefined)
    message.once('close', () => this.#watch.stop())
    if (this.#request.method !== 'HEAD' && !(Number(message.headers['content-length']) <= DRAINED_BYTES)) {
      message.destroy()
      return
    }
    this.#watch.start(this.#timeouts.idleMs, 'send more data')
    message.resume()
  }
}
