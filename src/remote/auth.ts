/**
 * Who we are, told to a registry: nothing at first; after a 401 what its challenge asks for, and from then on
 * at once. Basic sends the password. Bearer asks a token endpoint (the challenge's `realm`) for a token that is
 * good for certain scopes:
 *
 * ```
 * GET  realm?service=S&scope=repository:app:pull    Authorization: Basic   (a password, or nobody: anonymous)
 * POST realm  grant_type=refresh_token&...          for an identity token
 * ```
 *
 * A registry may name any realm: it could have asked for the password itself, so it learns nothing that way. But
 * what was configured to go over TLS does not leave it, nor the network for this machine. Where passwords are those of
 * a service and not of who runs the command (a registry that pulls through), `trustsRealm` narrows it down.
 */
import { isJsonObject } from '../oci/json.ts'
import { DOCKER_HUB } from '../oci/reference.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Credential, Credentials } from './credentials.ts'
import { displayUrl, RemoteError } from './errors.ts'
import { isInternal } from './internal-address.ts'
import type { Endpoint } from './registry-config.ts'
import { jsonBody } from './response.ts'
import type { HttpResponse, Transport } from './transport.ts'

export interface Authorizer {
  /**
   * The `Authorization` header for requests to this endpoint; undefined as long as nothing was asked for.
   * @param scopes `repository:app:pull`
   * @throws RemoteError `unauthorized` when the token endpoint refuses
   */
  header(endpoint: Endpoint, scopes: readonly string[], signal: AbortSignal): Promise<string | undefined>
  /**
   * Learns from a 401, and forgets the token that led to it.
   * @throws RemoteError `unauthorized` when it asks for nothing that we can do
   */
  learn(endpoint: Endpoint, response: HttpResponse, scopes: readonly string[]): void
}

export interface AuthorizerDeps {
  readonly transport: Transport
  readonly credentials: Credentials
  readonly userAgent: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Whether credentials of the endpoint may go to this token endpoint; without it they may. */
  readonly trustsRealm?: (endpoint: Endpoint, realm: URL) => boolean
}

interface KeptChallenge extends Challenge {
  /** It came from this machine: its token endpoint may be here too. */
  readonly isInside: boolean
}

interface Token {
  readonly header: string
  readonly expiresAt: number
}

/** Tokens and challenges that are kept at most; the oldest goes first. */
const MAX_KEPT = 256
/** What a token endpoint means when it does not say (distribution's token specification), in seconds. */
const DEFAULT_LIFETIME = 60
/** A token that is nearly over is not used for one more request. */
const MARGIN_MS = 10_000

export function createAuthorizer(deps: AuthorizerDeps): Authorizer {
  const challenges = new Map<string, KeptChallenge>()
  const tokens = new Map<string, Promise<Token>>()

  const bearer = async (
    endpoint: Endpoint,
    challenge: KeptChallenge,
    scopes: readonly string[],
    signal: AbortSignal,
  ): Promise<string> => {
    const key = tokenKey(endpoint, scopes)
    const kept = await tokens.get(key)?.catch(() => undefined)
    if (kept !== undefined && kept.expiresAt > deps.now()) return kept.header
    // Shared by all who need it meanwhile; should it fail, for one by the signal of another, each asks for itself.
    const asked = fetchToken(deps, endpoint, challenge, scopes, signal)
    keep(tokens, key, asked)
    asked.catch(() => tokens.get(key) === asked && tokens.delete(key))
    return (await asked).header
  }

  return {
    async header(endpoint, scopes, signal) {
      const challenge = challenges.get(endpoint.base.href)
      if (challenge === undefined) return undefined
      if (challenge.scheme === 'bearer') return bearer(endpoint, challenge, scopes, signal)
      const credential = await deps.credentials.get(endpoint.host, signal)
      return credential?.kind === 'password' ? basicHeader(credential) : undefined
    },
    learn(endpoint, response, scopes) {
      const offered = parseChallenges(response.headers['www-authenticate'] ?? '')
      const challenge =
        offered.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm')) ??
        offered.find(({ scheme }) => scheme === 'basic')
      if (challenge === undefined) {
        throw new RemoteError(
          'unauthorized',
          `Cannot log in to ${endpoint.host}: it offers neither Basic nor Bearer authentication`,
        )
      }
      keep(challenges, endpoint.base.href, { ...challenge, isInside: response.isInside === true })
      tokens.delete(tokenKey(endpoint, scopes))
    },
  }
}

/** The error for a registry that refuses what we have. */
export function unauthorized(endpoint: Endpoint, action: string): RemoteError {
  return new RemoteError('unauthorized', `${action}: the registry wants other credentials`, {
    hint: `log in with: docker login${endpoint.host === DOCKER_HUB ? '' : ` ${endpoint.host}`}; if you are, the image may not exist or not be yours to use`,
  })
}

async function fetchToken(
  deps: AuthorizerDeps,
  endpoint: Endpoint,
  challenge: KeptChallenge,
  ourScopes: readonly string[],
  signal: AbortSignal,
): Promise<Token> {
  const credential = await deps.credentials.get(endpoint.host, signal)
  if (credential?.kind === 'registry-token')
    return { header: bearerHeader(credential.token, endpoint), expiresAt: Number.POSITIVE_INFINITY }
  const asked = challenge.parameters.get('scope')?.split(' ') ?? []
  const scopes = [...new Set([...ourScopes, ...asked])].filter(scope => scope !== '')
  const realm = realmOf(endpoint, challenge)
  if (credential !== undefined && deps.trustsRealm?.(endpoint, realm) === false)
    throw realmRefused(endpoint, realm)
  const isOutward = !challenge.isInside && realm.origin !== endpoint.base.origin
  const place = { endpoint, realm, isOutward }
  const query = new URLSearchParams()
  const service = challenge.parameters.get('service')
  if (service !== undefined) query.set('service', service)
  const response = await (credential?.kind === 'identity-token'
    ? postForToken(deps, place, query, scopes, credential.token, signal)
    : getToken(deps, place, query, scopes, credential, signal))
  if (response.status !== 200) {
    response.drop()
    throw tokenRefused(endpoint, realm, response.status)
  }
  return readToken(await jsonBody(response), endpoint, realm, deps.now())
}

interface TokenPlace {
  readonly endpoint: Endpoint
  readonly realm: URL
  readonly isOutward: boolean
}

function getToken(
  { transport, userAgent }: AuthorizerDeps,
  { endpoint, realm, isOutward }: TokenPlace,
  query: URLSearchParams,
  scopes: readonly string[],
  credential: Extract<Credential, { kind: 'password' }> | undefined,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const url = new URL(realm)
  for (const scope of scopes) query.append('scope', scope)
  for (const [name, value] of query) url.searchParams.append(name, value)
  return transport.send({
    method: 'GET',
    url,
    headers: {
      'user-agent': userAgent,
      ...(credential !== undefined && { authorization: basicHeader(credential) }),
    },
    insecure: endpoint.insecure,
    isOutward,
    signal,
  })
}

function postForToken(
  { transport, userAgent }: AuthorizerDeps,
  { endpoint, realm, isOutward }: TokenPlace,
  form: URLSearchParams,
  scopes: readonly string[],
  identityToken: string,
  signal: AbortSignal,
): Promise<HttpResponse> {
  form.set('grant_type', 'refresh_token')
  form.set('refresh_token', identityToken)
  form.set('client_id', 'slipway')
  form.set('scope', scopes.join(' '))
  return transport.send({
    method: 'POST',
    url: realm,
    headers: { 'user-agent': userAgent, 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
    insecure: endpoint.insecure,
    isOutward,
    signal,
  })
}

function realmOf(endpoint: Endpoint, challenge: Challenge): URL {
  const text = challenge.parameters.get('realm') ?? ''
  const realm = URL.canParse(text) ? new URL(text) : undefined
  const problem =
    realm === undefined || !/^https?:$/.test(realm.protocol) || realm.username !== '' || realm.password !== ''
      ? 'its token endpoint is not a URL'
      : realm.protocol === 'http:' && endpoint.base.protocol === 'https:' && !endpoint.insecure
        ? 'its token endpoint is not under HTTPS, though the registry is'
        : isInternal(realm) && !isInternal(endpoint.base)
          ? 'its token endpoint is an address of this machine or its network alone'
          : undefined
  if (realm !== undefined && problem === undefined) return realm
  throw new RemoteError('response-invalid', `Cannot log in to ${endpoint.host}: ${problem}`)
}

function realmRefused(endpoint: Endpoint, realm: URL): RemoteError {
  return new RemoteError(
    'unauthorized',
    `Cannot log in to ${endpoint.host}: it wants the credentials to be sent to ${realm.host}`,
    { hint: `if that is right, set realm = "${realm.hostname}" beside the credentials of ${endpoint.host}` },
  )
}

function readToken(value: unknown, endpoint: Endpoint, realm: URL, now: number): Token {
  const fields = isJsonObject(value) ? value : {}
  const token = typeof fields.token === 'string' && fields.token !== '' ? fields.token : fields.access_token
  if (typeof token !== 'string')
    throw new RemoteError(
      'response-invalid',
      `Cannot log in to ${endpoint.host}: ${displayUrl(realm)} sent no token`,
    )
  const told = fields.expires_in
  const lifetime = typeof told === 'number' && told > 0 ? told : DEFAULT_LIFETIME
  return { header: bearerHeader(token, endpoint), expiresAt: now + lifetime * 1000 - MARGIN_MS }
}

/** More than any server takes as one header. */
const MAX_TOKEN_CHARACTERS = 64 * 1024

function bearerHeader(token: string, endpoint: Endpoint): string {
  if (token.length > MAX_TOKEN_CHARACTERS)
    throw new RemoteError(
      'response-invalid',
      `Cannot log in to ${endpoint.host}: its token is longer than ${MAX_TOKEN_CHARACTERS} characters`,
    )
  if (/^[\x21-\x7e]+$/.test(token)) return `Bearer ${token}`
  throw new RemoteError('response-invalid', `Cannot log in to ${endpoint.host}: its token is not ASCII text`)
}

function basicHeader({
  username,
  password,
}: {
  readonly username: string
  readonly password: string
}): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function tokenRefused(endpoint: Endpoint, realm: URL, status: number): RemoteError {
  if (status === 401 || status === 403) return unauthorized(endpoint, `Cannot log in at ${displayUrl(realm)}`)
  const code = status === 429 ? 'rate-limited' : status >= 500 ? 'registry-failed' : 'response-invalid'
  return new RemoteError(code, `Cannot log in to ${endpoint.host}: ${displayUrl(realm)} answered ${status}`)
}

function tokenKey(endpoint: Endpoint, scopes: readonly string[]): string {
  return [endpoint.base.href, ...scopes].join(' ')
}

function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.size > MAX_KEPT ? map.keys().next().value : undefined
  if (oldest !== undefined) map.delete(oldest)
}
