/**
 * The HTTP face of a repository store. One route takes everything below `/v2/`; the path is read by `parseTarget`,
 * because repository names hold slashes. A request is three steps: parse the target, call its handler, write the
 * answer. Errors are thrown, and translated once, here.
 *
 * Fastify's own body parsing is off: manifests must keep their exact bytes, blobs are streamed.
 */
import type { OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { ContentStream } from '../store/content-stream.ts'
import { type Access, type ClientInfo, everyoneMay, type Principal } from './access.ts'
import { type ClientConnections, createClientConnections } from './client-connection.ts'
import { clientOf } from './client-of.ts'
import { answerOf, isFault, RegistryError } from './errors.ts'
import { type ContentEvent, createObservedStore } from './events/observed-store.ts'
import type { Answer, Handlers } from './exchange.ts'
import { httpOptions, type Patience } from './http-options.ts'
import type { RegistryLog, RequestLine } from './log.ts'
import { newRequestID, observeRequest, type RequestObserver } from './observation.ts'
import type { NameResolver } from './proxy/resolve-name.ts'
import type { RepositoryStore } from './repository-store.ts'
import { parseTarget, type Target } from './route.ts'
import { blobHandlers } from './routes/blobs.ts'
import { catalogHandlers } from './routes/catalog.ts'
import { badTagHandlers, manifestHandlers } from './routes/manifests.ts'
import { pingHandlers } from './routes/ping.ts'
import { referrersHandlers } from './routes/referrers.ts'
import { tagsHandlers } from './routes/tags.ts'
import { uploadHandlers, uploadsHandlers } from './routes/uploads.ts'

export interface RegistryAppDeps {
  readonly repositories: RepositoryStore
  /** Without one, causes of faults are lost. */
  readonly log?: RegistryLog
  /** Who may do what; without it everyone may do everything. */
  readonly access?: Access
  readonly patience?: Patience
  /** Which repository a request means, where that is not what its path says. */
  readonly names?: NameResolver
  /** Routes that are not below `/v2/`. */
  readonly extras?: readonly AppExtra[]
  /** Is told of every request when it is over. */
  readonly observe?: RequestObserver
  /** Is told what requests did to manifests. */
  readonly listen?: (event: ContentEvent, by: Requester) => void
}

export type AppExtra = (app: FastifyInstance) => void

/** Whose request it was. */
export interface Requester {
  readonly requestID: string
  readonly principal: Principal
  readonly client: ClientInfo
  readonly method: string
}

/** What every request of one app shares. */
interface Context extends RegistryAppDeps {
  readonly connections: ClientConnections
}

export function createRegistryApp(deps: RegistryAppDeps): FastifyInstance {
  const connections = createClientConnections()
  const context: Context = { ...deps, connections }
  const app = fastify({
    exposeHeadRoutes: false,
    genReqId: newRequestID,
    ...httpOptions(connections, deps.patience),
    frameworkErrors: (error, request, reply) => {
      begin(deps, request, reply)
      const refusal = new RegistryError('name-invalid', `Cannot read path: ${error.message}`)
      sendError(context, refusal, request, reply)
    },
  })
  connections.attach(app.server)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.decorateRequest('contentType', undefined)
  app.decorateRequest('trace')
  app.addHook('onRequest', (request, reply, done) => {
    const start = (): void => {
      begin(deps, request, reply)
      requireHost(request)
    }
    const waited = connections.begin(request.raw, reply.raw)
    if (waited === undefined) {
      start()
      done()
    } else waited.then(start).then(() => done(), done)
  })
  app.setErrorHandler((error, request, reply) => sendError(context, error, request, reply))
  // Other methods and other paths end up here, and are answered 405 or 404 by the same three steps.
  app.setNotFoundHandler((request, reply) => serve(context, request, reply))
  for (const url of ['/v2', '/v2/*']) {
    app.route({
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      url,
      handler: (request, reply) => serve(context, request, reply),
    })
  }
  for (const extra of context.extras ?? []) extra(app)
  return app
}

/** Node would refuse it without a body. Nothing here needs the header, but to go on is forbidden (RFC 9112 section 3.2). */
function requireHost({ raw }: FastifyRequest): void {
  if (raw.httpVersion !== '1.1' || raw.headers.host !== undefined) return
  throw new RegistryError('request-invalid', 'Cannot read request: it has no Host header')
}

declare module 'fastify' {
  interface FastifyRequest {
    /** As sent; Fastify itself never sees it. */
    contentType: string | undefined
  }
}

function begin(deps: RegistryAppDeps, request: FastifyRequest, reply: FastifyReply): void {
  observeRequest(deps.observe, request, reply)
  reply.header('Docker-Distribution-API-Version', 'registry/2.0')
  reply.header('X-Content-Type-Options', 'nosniff')
  reply.header('X-Request-Id', request.id)
  hideContentType(request)
}

/** Fastify answers 415 to a `Content-Type` that it cannot read, before any handler is asked. */
function hideContentType(request: FastifyRequest): void {
  request.contentType = request.raw.headers['content-type']
  delete request.raw.headers['content-type']
}

async function serve(context: Context, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { path, query } = splitURL(request.raw.url ?? '')
  const asked = parseTarget(path)
  const { target, namespace, missing } = (await context.names?.resolve(asked, request.method, query)) ?? {
    target: asked,
  }
  if (namespace !== undefined) reply.header('OCI-Namespace', namespace)
  request.trace.target = target
  const client = clientOf(request)
  const identified = (principal: Principal): void => {
    request.trace.principal = principal
  }
  const { principal, may } =
    (await context.access?.authorize({
      method: request.method,
      target,
      query,
      client,
      identified,
      ...(missing !== undefined && { missing }),
    })) ?? everyoneMay
  identified(principal)
  const handlers = handlersOf(target)
  const handler = isMethod(request.method, handlers) ? handlers[request.method] : undefined
  if (handler === undefined) {
    reply.header('Allow', Object.keys(handlers).join(', '))
    throw new RegistryError(
      'method-unsupported',
      `Cannot ${request.method} ${path.slice(0, 300)}: not supported here`,
    )
  }
  const connection = context.connections.watch(request.raw, reply.raw, length => {
    request.trace.bytesIn += length
  })
  const answer = await handler({
    repositories: storeFor(context, { requestID: request.id, principal, client, method: request.method }),
    principal,
    may,
    query,
    headers: request.headers,
    contentType: request.contentType,
    connection,
  })
  return send(context, answer, request, reply)
}

function splitURL(url: string): { readonly path: string; readonly query: URLSearchParams } {
  const mark = url.indexOf('?')
  if (mark < 0) return { path: url, query: new URLSearchParams() }
  return { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) }
}

function isMethod(method: string, handlers: Handlers): method is keyof Handlers {
  return Object.hasOwn(handlers, method)
}

function storeFor({ repositories, listen }: RegistryAppDeps, requester: Requester): RepositoryStore {
  if (listen === undefined) return repositories
  return createObservedStore(repositories, event => listen(event, requester))
}

function handlersOf(target: Target): Handlers {
  switch (target.kind) {
    case 'ping':
      return pingHandlers()
    case 'catalog':
      return catalogHandlers()
    case 'tags':
      return tagsHandlers(target.name)
    case 'manifest':
      return manifestHandlers(target.name, target.reference)
    case 'bad-tag':
      return badTagHandlers(target.name, target.text)
    case 'referrers':
      return referrersHandlers(target.name, target.digest)
    case 'blob':
      return blobHandlers(target.name, target.digest)
    case 'uploads':
      return uploadsHandlers(target.name)
    case 'upload':
      return uploadHandlers(target.name, target.id)
  }
}

function send(context: Context, answer: Answer, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, headers, body } = answer
  reply.code(status)
  for (const [name, value] of Object.entries(headers ?? {})) reply.header(name, value)
  // The headers are out by then, so a body that fails can only be cut; the client sees the missing bytes.
  if (body instanceof Readable) body.once('error', error => context.log?.failed(requestLine(request), error))
  if (body instanceof ContentStream) request.trace.bytesPastNode = () => body.sentPastNode
  endReading(context, request, reply)
  const isLengthKnown = status === 304 || reply.hasHeader('Content-Length')
  if (body instanceof Readable || !isLengthKnown) return reply.send(body)
  return sendWhole(reply, body)
}

/**
 * What is sent at once needs nothing of Fastify's steps. As text, a body goes out in one write with its header: two
 * parts cost the kernel half as much again, which is more than all else that a small request takes.
 */
function sendWhole(reply: FastifyReply, body: Buffer | undefined): FastifyReply {
  const { raw } = reply
  // Before Fastify lets go of it: a header that Node refuses is an error as any other.
  raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders)
  reply.hijack()
  if (body !== undefined && body.length > MAX_TEXT_BYTES) raw.end(body)
  else raw.end(body?.toString('latin1') ?? '', 'latin1')
  return reply
}

const MAX_TEXT_BYTES = 64 * 1024

function sendError(
  context: Context,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  // A client that went away makes its upload fail; that is nobody's fault.
  if (isFault(error) && !request.raw.socket.destroyed) context.log?.failed(requestLine(request), error)
  if (error instanceof RegistryError) reply.headers(error.headers)
  endReading(context, request, reply)
  const { status, body } = answerOf(error)
  return reply.code(status).header('Content-Type', 'application/json').send(body)
}

function endReading({ connections }: Context, request: FastifyRequest, reply: FastifyReply): void {
  if (!connections.endReading(request.raw, reply.raw)) reply.header('Connection', 'close')
}

function requestLine({ id, method, url }: FastifyRequest): RequestLine {
  return { id, method, url }
}
