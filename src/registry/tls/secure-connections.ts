/**
 * TLS and plain HTTP on one port: the first byte of a connection tells them apart (a TLS handshake begins with 22,
 * a request with a letter). A client that asks in plain HTTP gets an answer that says what to do, instead of bytes
 * that it cannot read; and the authority's certificate can be fetched by whoever does not trust it yet.
 */
import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { CertifiedKey } from './certificate.ts'

export interface SecureConnections {
  /** For connections from now on; those that exist go on. */
  use(certified: CertifiedKey): void
}

const HANDSHAKE = 22
/** Both for the first byte and for the handshake. */
const HANDSHAKE_TIMEOUT_MS = 30_000

/** Puts itself before the connections of a server that does not listen yet. */
export function secureConnections(server: HttpServer, certified: CertifiedKey): SecureConnections {
  const serveHttp = server.listeners('connection')
  server.removeAllListeners('connection')
  const serve = (socket: Socket): void => {
    for (const listener of serveHttp) listener.call(server, socket)
  }
  const secure = createServer({ ...contextOptions(certified), handshakeTimeout: HANDSHAKE_TIMEOUT_MS })
  secure.on('secureConnection', (socket: TLSSocket) => serve(socket))
  // Scanners, and clients that do not trust us: theirs to tell. Node has destroyed the connection.
  secure.on('tlsClientError', (_error, socket) => socket.destroy())
  server.on('connection', (socket: Socket) =>
    onFirstByte(socket, byte => {
      if (byte !== HANDSHAKE) return serve(socket)
      // An HTTP server's connections stay open for an answer when the client has said its last; under TLS those
      // that end in the middle of a handshake would stay for ever.
      socket.allowHalfOpen = false
      secure.emit('connection', socket)
    }),
  )
  return { use: next => secure.setSecureContext(contextOptions(next)) }
}

function contextOptions({
  certificate,
  key,
}: CertifiedKey): SecureContextOptions & { ALPNProtocols: string[] } {
  return { cert: certificate, key, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] }
}

/** Looks at the first byte and leaves it in place. */
function onFirstByte(socket: Socket, then: (byte: number) => void): void {
  const drop = (): void => void socket.destroy()
  const look = (): void => {
    const first: Buffer | null = socket.read(1)
    if (first === null) return
    socket.off('readable', look).off('error', drop).off('end', drop)
    socket.setTimeout(0)
    socket.off('timeout', drop)
    socket.unshift(first)
    then(first[0] ?? 0)
  }
  socket.on('readable', look).on('error', drop).on('end', drop)
  socket.setTimeout(HANDSHAKE_TIMEOUT_MS, drop)
}
