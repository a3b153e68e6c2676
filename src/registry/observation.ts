/**
 * One observation per request, made when its answer is out or its client gone: what logs and metrics are written
 * from. Bytes are those of bodies; of an answer that was cut, about those that left.
 */
import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from './access.ts'
import type { Target } from './route.ts'

export interface RequestObserver {
  /** Milliseconds of a clock that never goes back. */
  monotonicMs(): number
  /** Every `began` is followed by one `ended`. */
  began(): void
  /** Must not throw. */
  ended(request: ObservedRequest): void
}

export interface ObservedRequest {
  /** The client has it too, in `X-Request-Id`. */
  readonly id: string
  readonly method: string
  /** Path and query, escaped as they came, of any length. */
  readonly url: string
  /** A few words that say what kind of path it was: `manifest`, `blob`, `/metrics`, `unknown`. */
  readonly route: string
  /** Absent where the path had none, or none was understood. */
  readonly target?: Target
  /** Absent where nobody was asked who it is. */
  readonly principal?: Principal
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly tookMs: number
  /** False when the client was gone before its answer was out. */
  readonly isComplete: boolean
  /** The other end of the connection. */
  readonly address: string
  readonly userAgent?: string
}

/** What becomes known of a request while it is served. */
export interface RequestTrace {
  target?: Target
  principal?: Principal
  bytesIn: number
  /** Of the answer, those that Node does not know of. */
  bytesPastNode?: () => number
}

declare module 'fastify' {
  interface FastifyRequest {
    trace: RequestTrace
  }
}

export function newRequestID(): string {
  return randomUUID()
}

/** To be called once for each request, before anything can fail. */
export function observeRequest(
  observer: RequestObserver | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  request.trace = { bytesIn: 0 }
  if (observer === undefined) return
  const { raw: message } = request
  const { raw: response } = reply
  const { socket } = message
  const address = socket.remoteAddress ?? ''
  const startMs = observer.monotonicMs()
  const writtenBefore = socket.bytesWritten
  observer.began()
  response.once('close', () => {
    const isComplete = response.writableFinished
    const userAgent = message.headers['user-agent']
    const { bytesPastNode = () => 0, ...trace } = request.trace
    observer.ended({
      id: request.id,
      method: request.method,
      url: message.url ?? '',
      route: request.trace.target?.kind ?? request.routeOptions?.url ?? 'unknown',
      ...trace,
      status: response.statusCode,
      bytesOut: isComplete
        ? bodyLength(request, reply)
        : socket.bytesWritten - writtenBefore + bytesPastNode(),
      tookMs: observer.monotonicMs() - startMs,
      isComplete,
      address,
      ...(userAgent !== undefined && { userAgent }),
    })
  })
}

/** Every answer of ours says its length. */
function bodyLength(request: FastifyRequest, reply: FastifyReply): number {
  const { statusCode } = reply.raw
  if (request.method === 'HEAD' || statusCode === 204 || statusCode === 304) return 0
  return Number(reply.getHeader('content-length') ?? 0)
}
