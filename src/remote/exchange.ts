/**
 * A request to a registry and all that it takes to have it answered: credentials when they are asked for,
 * redirects, a second try when the connection broke or the registry is overloaded, plain HTTP where an
 * `insecure` registry does not speak TLS.
 */
import { type Authorizer, unauthorized } from './auth.ts'
import { displayUrl, isBrokenConnection, isWithoutTls, RemoteError } from './errors.ts'
import { isInternal } from './internal-address.ts'
import { type Endpoint, overHttp, overTls } from './registry-config.ts'
import { responseError, retryAfterMs } from './response.ts'
import { backoffMs, type Delay, MAX_ATTEMPTS } from './retry.ts'
import type { HttpRequest, HttpResponse, Transport } from './transport.ts'

export interface RegistryRequest extends Pick<HttpRequest, 'method' | 'body' | 'responseTimeoutMs'> {
  /** Below the endpoint's base (`library/debian/tags/list`), or anywhere: the `Location` of an upload. */
  readonly target: string | URL
  readonly headers?: Readonly<Record<string, string>>
  readonly scopes: readonly string[]
  /** Statuses that the caller understands. */
  readonly accept: readonly number[]
  /** For messages: `Cannot read app:1.0 from localhost:5000`. */
  readonly action: string
  readonly signal: AbortSignal
}

/** @throws RemoteError for every status that is not accepted; what the transport throws */
export type Exchange = (endpoint: Endpoint, request: RegistryRequest) => Promise<HttpResponse>

export interface ExchangeDeps {
  readonly transport: Transport
  readonly authorizer: Authorizer
  readonly delay: Delay
  readonly userAgent: string
}

const MAX_REDIRECTS = 5
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const OVERLOADED: ReadonlySet<number> = new Set([429, 500, 502, 503, 504])
/** A registry that wants us to wait for longer gets no second request. */
const MAX_RETRY_AFTER_MS = 10_000

export function createExchange(deps: ExchangeDeps): Exchange {
  /** Origins of insecure registries that turned out to speak plain HTTP. */
  const withoutTls = new Set<string>()
  /** Origins of plain HTTP, such as loopback addresses have, that answered that they speak TLS. */
  const onlyTls = new Set<string>()
  const inside = new Set<string>()

  return async (configured, request) => {
    const { accept, action, signal, body } = request
    let endpoint = configured
    if (withoutTls.has(configured.base.origin)) endpoint = overHttp(configured)
    if (onlyTls.has(configured.base.origin)) endpoint = overTls(configured)
    const isRepeatable = body === undefined || body instanceof Uint8Array
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === MAX_ATTEMPTS || !isRepeatable
      try {
        const response = await authorized({ ...deps, inside }, endpoint, request)
        if (accept.includes(response.status)) return response
        if (isRepeatable && endpoint.base.protocol === 'http:' && wantsTls(response)) {
          response.drop()
          endpoint = overTls(endpoint)
          onlyTls.add(configured.base.origin)
          continue
        }
        const wait = retryAfterMs(response) ?? backoffMs(attempt)
        if (isLast || !OVERLOADED.has(response.status) || wait > MAX_RETRY_AFTER_MS)
          throw await responseError(action, response)
        response.drop()
        await deps.delay(wait, signal)
      } catch (error) {
        if (isRepeatable && endpoint.insecure && endpoint.base.protocol === 'https:' && isWithoutTls(error)) {
          endpoint = overHttp(endpoint)
          withoutTls.add(configured.base.origin)
          continue
        }
        if (isLast || !isBrokenConnection(error)) throw error
        await deps.delay(backoffMs(attempt), signal)
      }
    }
  }
}

/** 426 Upgrade Required (RFC 9110 section 15.5.22), as our own server answers plain HTTP on a port with TLS. */
function wantsTls({ status, headers }: HttpResponse): boolean {
  return status === 426 && /\bTLS\b/i.test(headers.upgrade ?? '')
}

/** Sends, and once more with credentials when the registry asks for them. */
async function authorized(
  deps: RedirectDeps,
  endpoint: Endpoint,
  request: RegistryRequest,
): Promise<HttpResponse> {
  const { authorizer } = deps
  const { scopes, signal, action, body } = request
  const first = await redirected(deps, endpoint, request, await authorizer.header(endpoint, scopes, signal))
  if (first.status !== 401) return first
  if (!isOwn(endpoint, first.url)) throw await responseError(action, first)
  authorizer.learn(endpoint, first, scopes)
  first.drop()
  const header = await authorizer.header(endpoint, scopes, signal)
  if (header === undefined || (body !== undefined && !(body instanceof Uint8Array)))
    throw unauthorized(endpoint, action)
  const second = await redirected(deps, endpoint, request, header)
  if (second.status !== 401) return second
  second.drop()
  throw unauthorized(endpoint, action)
}

interface RedirectDeps extends ExchangeDeps {
  /** Origins of registries that are on this machine: what they point at may be here too. */
  readonly inside: Set<string>
}

/** Follows redirects of GET and HEAD. Credentials go to the registry alone, not to the storage it points at. */
async function redirected(
  { transport, userAgent, inside }: RedirectDeps,
  endpoint: Endpoint,
  request: RegistryRequest,
  authorization: string | undefined,
): Promise<HttpResponse> {
  const { method, headers, body, responseTimeoutMs, signal, action } = request
  let url = targetURL(endpoint, request.target, action)
  let isOutward = !isOwn(endpoint, url) && !inside.has(endpoint.base.origin)
  for (let hops = 0; ; hops++) {
    const response = await transport.send({
      method,
      url,
      headers: {
        'user-agent': userAgent,
        ...headers,
        ...(authorization !== undefined && isOwn(endpoint, url) && { authorization }),
      },
      ...(body !== undefined && { body }),
      ...(responseTimeoutMs !== undefined && { responseTimeoutMs }),
      insecure: endpoint.insecure,
      isOutward,
      signal,
    })
    if (response.isInside && isOwn(endpoint, url)) inside.add(endpoint.base.origin)
    const { location } = response.headers
    const isFollowed = method === 'GET' || method === 'HEAD'
    if (!isFollowed || !REDIRECTS.has(response.status) || location === undefined) return response
    response.drop()
    if (hops === MAX_REDIRECTS)
      throw new RemoteError(
        'response-invalid',
        `${action}: more than ${MAX_REDIRECTS} redirects, the last to ${displayUrl(url)}`,
      )
    isOutward ||= response.isInside !== true
    url = locationURL(endpoint, url, location, action)
  }
}

/**
 * Where a `Location` leads: relative or absolute. A registry behind a TLS proxy often calls itself http://: its
 * own host is taken to mean the connection that we have.
 * @throws RemoteError `response-invalid` for what is not HTTP, or leaves TLS behind
 */
export function locationURL(endpoint: Endpoint, from: URL, location: string, action: string): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new RemoteError('response-invalid', `${action}: ${from.host} points at something that is not a URL`)
  if (isInternal(url) && !isInternal(from))
    throw new RemoteError(
      'response-invalid',
      `${action}: ${from.host} points at ${url.host}, which is an address of this machine or its network alone`,
    )
  const isLeavingTls = from.protocol === 'https:' && url.protocol === 'http:'
  if (isLeavingTls && url.hostname === from.hostname && ['', from.port].includes(url.port)) {
    url.protocol = 'https:'
    url.port = from.port
  } else if (isLeavingTls && !endpoint.insecure) {
    throw new RemoteError(
      'response-invalid',
      `${action}: ${from.host} redirects from HTTPS to plain HTTP at ${url.host}`,
    )
  }
  url.username = ''
  url.password = ''
  url.hash = ''
  return url
}

function targetURL(endpoint: Endpoint, target: string | URL, action: string): URL {
  if (target instanceof URL) return target
  const url = new URL(target, endpoint.base)
  if (endpoint.mirrorOf !== undefined) url.searchParams.set('ns', endpoint.mirrorOf)
  if (url.href.startsWith(endpoint.base.href)) return url
  throw new RemoteError('response-invalid', `${action}: ${JSON.stringify(target)} leads out of the registry`)
}

function isOwn(endpoint: Endpoint, url: URL): boolean {
  return url.origin === endpoint.base.origin
}
