import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'

export interface ForwardProxy extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** `CONNECT a.test:443`, `GET http://a.test/x`, in order. */
  readonly seen: string[]
}

export interface ForwardProxyOptions {
  /** Where hosts really are, as nothing resolves their names: `a.test:443` to a port of this machine. */
  readonly ports: Readonly<Record<string, number>>
  /** `user:password`; without it nobody is asked. */
  readonly credentials?: string
  /** It is spoken to over TLS. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Tunnels are asked for, and never made. */
  readonly hangs?: boolean
}

/** A proxy as companies have them: CONNECT for https, whole URLs for http. */
export async function startForwardProxy(options: ForwardProxyOptions): Promise<ForwardProxy> {
  const seen: string[] = []
  const sockets = new Set<Socket>()
  const server = options.tls ? https.createServer(options.tls) : http.createServer()
  const isLetIn = ({ headers }: IncomingMessage): boolean => {
    if (options.credentials === undefined) return true
    const pair = Buffer.from(options.credentials).toString('base64')
    return headers['proxy-authorization'] === `Basic ${pair}`
  }
  const track = <T extends Socket>(socket: T): T => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket))
    return socket
  }
  server.on('connection', track)
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    seen.push(`CONNECT ${request.url}`)
    track(client)
    if (options.hangs) return
    const port = options.ports[request.url ?? '']
    if (!isLetIn(request)) return client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
    if (port === undefined) return client.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const target = track(connect(port, '127.0.0.1'))
    target.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      client.pipe(target).pipe(client)
    })
  })
  server.on('request', (request: IncomingMessage, response: http.ServerResponse) => {
    seen.push(`${request.method} ${request.url}`)
    const url = URL.parse(request.url ?? '')
    const port = url === null ? undefined : options.ports[`${url.hostname}:${url.port || 80}`]
    if (!isLetIn(request)) return response.writeHead(407).end()
    if (url === null || port === undefined) return response.writeHead(403).end()
    const { 'proxy-authorization': _, ...headers } = request.headers
    const { pathname, search } = url
    const asked = http.request({ port, path: pathname + search, method: request.method, headers }, answer =>
      answer.pipe(response.writeHead(answer.statusCode ?? 502, answer.headers)),
    )
    asked.on('error', () => response.destroy())
    request.pipe(asked)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
