/** Requests that go through a proxy: https in a tunnel (CONNECT), plain http with the whole URL (RFC 9110, section 7.6). */
import http, { type ClientRequest, type ClientRequestArgs } from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, type SecureContext } from 'node:tls'
import { RemoteError } from './errors.ts'

export interface ProxyServer {
  readonly url: URL
  /** Of a proxy that is spoken to over TLS. */
  readonly secureContext?: SecureContext
}

/** The credentials of its URL. */
function proxyAuthorization({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '' && password === '') return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** A request whose URL is the proxy's to understand; its body is the caller's to send. */
export function requestThrough(
  { url: proxy, secureContext }: ProxyServer,
  target: URL,
  { headers, ...options }: ClientRequestArgs & { readonly headers: Readonly<Record<string, string>> },
): ClientRequest {
  const { username, password } = target
  const bare = new URL(target)
  bare.username = ''
  bare.password = ''
  const isTls = proxy.protocol === 'https:'
  return (isTls ? https : http).request({
    ...options,
    ...hostOf(proxy),
    path: bare.href,
    headers: { host: target.host, ...headers, ...proxyAuthorization(proxy) },
    ...(username !== '' && { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` }),
    ...(isTls && secureContext && { secureContext }),
  })
}

type CreateConnection = NonNullable<https.Agent['createConnection']>

/** TLS connections to any host, each in a tunnel of its own through the proxy. */
export class TunnelAgent extends https.Agent {
  readonly #proxy: ProxyServer
  readonly #timeoutMs: number
  /** Tunnels that are being made. */
  readonly #opening = new Set<ClientRequest>()

  readonly #tls: ConnectionOptions

  /** @param timeoutMs for the proxy to answer; @param tls of what is in the tunnels */
  constructor(proxy: ProxyServer, timeoutMs: number, tls: ConnectionOptions) {
    super({ keepAlive: true })
    this.#tls = tls
    this.#proxy = proxy
    this.#timeoutMs = timeoutMs
  }

  override createConnection(...[options, callback]: Parameters<CreateConnection>): undefined {
    const { host, port, servername } = options
    const name = host ?? ''
    const tls = { ...this.#tls, host: name, ...(servername !== undefined && { servername }) }
    const authority = `${name.includes(':') ? `[${name.replace(/^\[|\]$/g, '')}]` : name}:${port ?? 443}`
    this.#open(authority).then(
      socket => callback?.(null, connect({ ...tls, socket, ALPNProtocols: ['http/1.1'] })),
      // Node's types want a socket beside an error, and Node does not.
      (error: Error) => Reflect.apply(callback ?? (() => undefined), undefined, [error]),
    )
  }

  override destroy(): void {
    for (const request of this.#opening) request.destroy()
    super.destroy()
  }

  #open(authority: string): Promise<Duplex> {
    const { url: proxy, secureContext } = this.#proxy
    const isTls = proxy.protocol === 'https:'
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>()
    const fail = (problem: string, cause?: unknown): void =>
      reject(
        new RemoteError(
          'registry-unreachable',
          `Cannot reach ${authority}: the proxy ${proxy.host} ${problem}`,
          cause === undefined ? {} : { cause },
        ),
      )
    const request = (isTls ? https : http).request({
      ...hostOf(proxy),
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...proxyAuthorization(proxy) },
      agent: false,
      timeout: this.#timeoutMs,
      ...(isTls && secureContext && { secureContext }),
    })
    this.#opening.add(request)
    request.once('connect', ({ statusCode = 0 }, socket, head) => {
      if (statusCode === 200 && head.length === 0) {
        socket.setTimeout(0)
        return resolve(socket)
      }
      socket.destroy()
      if (statusCode === 407) fail('wants credentials, or other ones')
      else if (statusCode !== 200) fail(`refuses: it answered ${statusCode}`)
      else fail('speaks where the other side has to')
    })
    request.once('timeout', () => {
      fail(`does not answer within ${this.#timeoutMs / 1000} seconds`)
      request.destroy()
    })
    request.once('error', error => fail(`cannot be reached: ${error.message}`, error))
    request.once('close', () => {
      this.#opening.delete(request)
      fail('has closed the connection')
    })
    request.end()
    return promise
  }
}

function hostOf({ protocol, hostname, port }: URL): { readonly host: string; readonly port: number } {
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || (protocol === 'https:' ? 443 : 80),
  }
}
