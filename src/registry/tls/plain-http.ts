import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { drainUnread } from '../client-connection.ts'

/** Where clients that do not trust us yet fetch the authority's certificate, over HTTP as over HTTPS. */
const AUTHORITY_PATHS = ['/ca.crt', '/.well-known/slipway/ca.crt'] as const

/** For probes of the same machine or cluster, which trust nobody and need not. */
const OPEN_PATHS: ReadonlySet<string> = new Set([...AUTHORITY_PATHS, '/livez', '/readyz', '/health'])

/** Serves the certificate of the authority that clients have to trust. */
export function serveAuthority(certificate: string): (app: FastifyInstance) => void {
  return app => {
    for (const url of AUTHORITY_PATHS) {
      app.route({
        method: ['GET', 'HEAD'],
        url,
        handler: async (_request, reply) =>
          reply.header('Content-Type', 'application/x-x509-ca-cert').send(Buffer.from(certificate)),
      })
    }
  }
}

/**
 * What a request in plain HTTP to a registry with TLS is told: pages are redirected, the API is not, because what a
 * client sends after a redirect it has already sent once in the clear.
 */
export function requireTls(hasAuthority: boolean): (app: FastifyInstance) => void {
  return app => {
    app.addHook('onRequest', async (request, reply) => {
      const [path = ''] = request.raw.url?.split('?') ?? []
      if ('encrypted' in request.raw.socket || OPEN_PATHS.has(path)) return undefined
      return refuse(request, reply, path, hasAuthority)
    })
  }
}

function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
  hasAuthority: boolean,
): FastifyReply {
  const { host = '' } = request.raw.headers
  const isHost = /^[A-Za-z0-9.\-[\]:]+$/.test(host)
  drainUnread(request.raw)
  if (isHost && !path.startsWith('/v2') && (request.method === 'GET' || request.method === 'HEAD'))
    return reply.code(308).header('Location', `https://${host}${request.raw.url}`).send()
  const authority = hasAuthority && isHost ? `; its authority's certificate is at http://${host}/ca.crt` : ''
  const message = `This port speaks HTTPS: ask https://${isHost ? host : 'HOST:PORT'}${authority}`
  // RFC 9110 section 15.5.22; our own client takes it as the word to go on with TLS.
  return reply
    .code(426)
    .headers({ Upgrade: 'TLS/1.2, HTTP/1.1', Connection: 'Upgrade', 'Content-Type': 'application/json' })
    .send(Buffer.from(JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message }] })))
}
