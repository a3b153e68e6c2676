import type { IncomingMessage } from 'node:http'
import type { ClientConnections } from './client-connection.ts'

/** How patient the registry is with a client. */
export interface Patience {
  /** A connection on which nothing moves for so long is given up; a slow one is not. */
  readonly idleMs: number
  /** The header of a request must have arrived whole after so long. */
  readonly headerMs: number
  /** How often that is looked at. */
  readonly checkMs: number
}

const PATIENCE: Patience = { idleMs: 5 * 60_000, headerMs: 60_000, checkMs: 15_000 }

/** What waits in memory of every connection, each way: transfers by the hundred must not need hundreds of megabytes. */
const CONNECTION_BUFFER_BYTES = 16 * 1024

/** Of Fastify. Requests may last as long as their bytes move; the size of a header is Node's limit of 16 KiB. */
export function httpOptions(
  connections: ClientConnections,
  { idleMs, headerMs, checkMs }: Patience = PATIENCE,
) {
  return {
    requestTimeout: 0,
    connectionTimeout: idleMs,
    http: {
      headersTimeout: headerMs,
      connectionsCheckingInterval: checkMs,
      requireHostHeader: false,
      highWaterMark: CONNECTION_BUFFER_BYTES,
    },
    clientErrorHandler: connections.refuse,
    rewriteUrl: ({ url }: IncomingMessage) => originForm(url ?? ''),
  }
}

/** `GET http://host/v2/`, as clients write it to proxies, asks the same of a server (RFC 9112 section 3.2.2). */
function originForm(url: string): string {
  if (url.startsWith('/')) return url
  return /^https?:\/\//i.test(url) ? url.replace(/^[a-z]+:\/\/[^/?]*\/?/i, '/') : url
}
