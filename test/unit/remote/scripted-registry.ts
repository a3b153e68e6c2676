import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'
import { parseReference, type Reference } from '../../../src/oci/reference.ts'
import { createRemote, type RemoteDeps } from '../../../src/remote/client.ts'
import { anonymous } from '../../../src/remote/credentials.ts'
import type { RemoteRepository } from '../../../src/remote/repository.ts'

/** A request as the server saw it, without its body. */
export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly authorization: string | undefined
}

export interface ScriptedRegistry {
  /** `127.0.0.1:12345` */
  readonly host: string
  readonly seen: SeenRequest[]
}

export type Handler = (request: IncomingMessage, response: ServerResponse, seen: SeenRequest) => void

/** A server that answers as the test's handler says; closed after the test file's suite. */
export async function scriptedRegistry(handler: Handler): Promise<ScriptedRegistry> {
  const seen: SeenRequest[] = []
  const server = http.createServer((request, response) => {
    const { method = '', url = '' } = request
    const entry = { method, url, authorization: request.headers.authorization }
    seen.push(entry)
    handler(request, response, entry)
  })
  const host = await listen(server)
  return { host, seen }
}

/** Listens on a free port and closes, connections and all, after the test. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A client that does not wait between attempts. */
export function repositoryAt(
  host: string,
  overrides: Partial<RemoteDeps> & { readonly signal?: AbortSignal; readonly mountFrom?: string[] } = {},
): RemoteRepository {
  const { signal = new AbortController().signal, mountFrom, ...deps } = overrides
  const remote = createRemote({
    registries: {},
    credentials: anonymous,
    userAgent: 'slipway-test',
    now: () => 0,
    delay: async () => undefined,
    timeouts: { connectMs: 2000, idleMs: 2000 },
    ...deps,
  })
  after(() => remote[Symbol.dispose]())
  const reference: Reference = parseReference(`${host}/team/app`)
  return remote.repository(reference, { signal, ...(mountFrom && { mountFrom }) })
}
