/**
 * Where clients get their tokens, in both forms of distribution's token specification:
 *
 * ```
 * GET  /token?service=S&scope=repository:app:pull&scope=...      Basic, or nothing (anonymous)
 * POST /token   grant_type=password&username=...&password=...    as OAuth 2 has it; access_type=offline
 *               grant_type=refresh_token&refresh_token=...       gives a refresh token too
 * ```
 * What is asked for and not allowed is left out of the token, never refused.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ClientInfo } from '../access.ts'
import { clientOf } from '../client-of.ts'
import { RegistryError } from '../errors.ts'
import type { AuthenticateDeps } from './authenticate.ts'
import { parseBasic } from './authenticate.ts'
import { countedAddress, type FindClientAddress } from './client-address.ts'
import type { Identity } from './identity.ts'
import { ACCESS_LIFETIME, type TokenIssuer } from './issue-token.ts'
import { isRobotToken } from './robots.ts'
import { verifyToken } from './signed-token.ts'

export interface TokenEndpointDeps extends AuthenticateDeps {
  readonly issuer: TokenIssuer
  readonly isOn: () => Promise<boolean>
  readonly findAddress: FindClientAddress
}

const MAX_FORM_BYTES = 32 * 1024

export function tokenRoutes(deps: TokenEndpointDeps): (app: FastifyInstance) => void {
  return app => {
    app.route({
      method: ['GET', 'POST'],
      url: '/token',
      async handler(request, reply) {
        if (!(await deps.isOn()))
          throw new RegistryError('endpoint-unknown', 'Cannot give a token: this registry wants none')
        const answer =
          request.method === 'GET' ? await answerQuery(deps, request) : await answerForm(deps, request)
        return reply
          .header('Content-Type', 'application/json')
          .header('Cache-Control', 'no-store')
          .send(Buffer.from(JSON.stringify(answer)))
      },
    })
  }
}

async function answerQuery(deps: TokenEndpointDeps, request: FastifyRequest): Promise<object> {
  const query = new URLSearchParams(request.raw.url?.split('?').slice(1).join('?'))
  const client = clientOf(request)
  const identity = await identityOfHeader(deps, client)
  request.trace.principal = identity.principal
  return tokenAnswer(deps, identity, query.getAll('scope'))
}

async function identityOfHeader(deps: TokenEndpointDeps, client: ClientInfo): Promise<Identity> {
  const { authorization = '' } = client.headers
  if (authorization === '') return deps.login.anonymous
  const credential = parseBasic(/^basic +(\S+)/i.exec(authorization)?.[1] ?? '')
  const identity =
    credential && (await deps.login.byPassword(credential.name, credential.password, countedOf(deps, client)))
  if (identity) return identity
  throw wrongLogin()
}

async function answerForm(deps: TokenEndpointDeps, request: FastifyRequest): Promise<object> {
  const form = new URLSearchParams(await readForm(request))
  const identity = await identityOfForm(deps, form, clientOf(request))
  request.trace.principal = identity.principal
  const given = form.get('refresh_token')
  const refresh = given ?? (form.get('access_type') === 'offline' ? deps.issuer.refresh(identity) : undefined)
  return {
    ...tokenAnswer(deps, identity, form.getAll('scope')),
    ...(refresh !== undefined && { refresh_token: refresh }),
  }
}

async function identityOfForm(
  deps: TokenEndpointDeps,
  form: URLSearchParams,
  client: ClientInfo,
): Promise<Identity> {
  const { login, key, now } = deps
  const grant = form.get('grant_type')
  let identity: Identity | undefined
  if (grant === 'password')
    identity = await login.byPassword(
      form.get('username') ?? '',
      form.get('password') ?? '',
      countedOf(deps, client),
    )
  else if (grant === 'refresh_token') {
    const token = form.get('refresh_token') ?? ''
    const claims = verifyToken(token, key, now())
    if (isRobotToken(token)) identity = login.byRobotToken(token, countedOf(deps, client))
    else if (claims?.use === 'refresh') identity = await login.byClaims(claims)
  } else
    throw new RegistryError(
      'grant-invalid',
      'Cannot give a token: grant_type is neither password nor refresh_token',
    )
  if (identity === undefined) throw wrongLogin()
  return identity
}

function tokenAnswer(
  { issuer, now }: TokenEndpointDeps,
  identity: Identity,
  scopes: readonly string[],
): object {
  const { token, access } = issuer.access(identity, scopes)
  return {
    token,
    access_token: token,
    token_type: 'Bearer',
    expires_in: ACCESS_LIFETIME,
    issued_at: new Date(Math.floor(now() / 1000) * 1000).toISOString(),
    scope: access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' '),
  }
}

function countedOf({ findAddress }: TokenEndpointDeps, client: ClientInfo): string {
  return countedAddress(findAddress(client))
}

function wrongLogin(): RegistryError {
  return new RegistryError(
    'unauthorized',
    'Cannot log in: the user name, the password or the token is wrong',
    {
      headers: { 'WWW-Authenticate': 'Basic realm="slipway"' },
    },
  )
}

/** @throws RegistryError `size-invalid` */
async function readForm({ raw }: FastifyRequest): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of raw.iterator({ destroyOnReturn: false })) {
    size += chunk.length
    if (size > MAX_FORM_BYTES)
      throw new RegistryError(
        'size-invalid',
        `Cannot give a token: the form has more than ${MAX_FORM_BYTES} bytes`,
      )
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
