/**
 * What a handler gets and gives. Handlers are functions from a call to an answer: they see no socket and write
 * nothing themselves, so the same handler serves whichever HTTP library `app.ts` is built on.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Grant } from './access.ts'
import type { ClientConnection } from './client-connection.ts'
import type { RepositoryStore } from './repository-store.ts'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One request, let through: `principal` asks, and `may` tells of other repositories than the target's. */
export interface Call extends Grant {
  readonly repositories: RepositoryStore
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** `Content-Type` as it was sent. */
  readonly contentType: string | undefined
  /** The request's body, which may be left unread, or half read; and whether the client is gone. */
  readonly connection: ClientConnection
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Never for HEAD, whose headers are those that GET would have. */
  readonly body?: Buffer | Readable
}

export type Handler = (call: Call) => Promise<Answer>

/** What one target answers; a method without a handler is 405. */
export type Handlers = { readonly [M in Method]?: Handler }

export function jsonAnswer(value: unknown, headers: Answer['headers'] = {}): Answer {
  return jsonBytesAnswer(Buffer.from(JSON.stringify(value)), 'application/json', headers)
}

/** The type stands as given: a charset would not belong to these types (RFC 8259). */
export function jsonBytesAnswer(body: Buffer, type: string, headers: Answer['headers'] = {}): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': type, 'Content-Length': String(body.length), ...headers },
    body,
  }
}
