/**
 * Decides about each request. Clients ask bare first and do what the answer says:
 *
 * ```
 * GET /v2/                          401  Bearer realm=".../token"     also where anonymous may pull: Docker decides
 * GET /token?scope=...   Basic      200  {"token": ...}               from this one answer whether to log in at all
 * GET /v2/app/...        Bearer     200
 * ```
 * 401 says that another token can help, 403 that none will.
 *
 * Who does not ask for `/v2/` first is containerd, in Docker 28 and later too, or BuildKit. Where `certs.d` names the
 * authority that they shall trust, they do so here and not at `/token` (moby issue 52361). So over TLS their 401 asks for
 * Basic.
 */
import { isRepositoryPath, parseRepositoryName, type RepositoryName } from '../../oci/reference.ts'
import {
  type Access,
  type ClientInfo,
  everyoneMay,
  type Grant,
  type Principal,
  type RepositoryAction,
} from '../access.ts'
import { RegistryError } from '../errors.ts'
import type { Target } from '../route.ts'
import { type AuthenticateDeps, type Authentication, authenticate } from './authenticate.ts'
import { challengeError, passwordChallengeError, tooMany } from './challenge.ts'
import { countedAddress, type FindClientAddress } from './client-address.ts'
import { describePrincipal, subjectOf } from './identity.ts'
import { createRateLimit } from './rate-limit.ts'
import { CATALOG_SCOPE, isCatalogGranted, isGranted, scopeFor } from './scope.ts'

export interface AccessDeps extends AuthenticateDeps {
  /** False: there are no users and no rules, and everyone may do everything. */
  readonly isOn: () => Promise<boolean>
  readonly findAddress: FindClientAddress
  /** Of one user, or of one address that has not logged in; 0: any number. */
  readonly requestsPerMinute: number
}

export function createAccess(deps: AccessDeps): Access {
  const requests = createRateLimit(deps.requestsPerMinute, deps.now)
  const addressOf = (client: ClientInfo): string => countedAddress(deps.findAddress(client))
  const count = (client: ClientInfo, principal?: Principal): void => {
    if (deps.requestsPerMinute === 0) return
    const isKnown = principal !== undefined && principal.kind !== 'anonymous'
    const seconds = requests.take(isKnown ? subjectOf(principal) : addressOf(client))
    if (seconds !== undefined)
      throw tooMany(seconds, `Cannot answer: more than ${deps.requestsPerMinute} requests in a minute`)
  }
  /** Undefined where nobody has to show anything. */
  const enter = async (client: ClientInfo): Promise<Authentication | undefined> => {
    if (!(await deps.isOn())) {
      count(client)
      return undefined
    }
    let authentication: Authentication
    try {
      authentication = await authenticate(deps, client, () => addressOf(client))
    } catch (error) {
      if (error instanceof RegistryError) count(client)
      throw error
    }
    count(client, authentication.identity.principal)
    return authentication
  }
  return {
    async identify(client) {
      const authentication = await enter(client)
      return authentication === undefined ? everyoneMay : grantOf(authentication)
    },
    async authorize({ method, target, query, missing, client, identified }) {
      const authentication = await enter(client)
      if (authentication === undefined) return everyoneMay
      identified?.(authentication.identity.principal)
      if (target.kind === 'ping') {
        if (authentication.isBare) throw challengeError(client, LOG_IN)
      } else if (target.kind === 'catalog') {
        requireCatalog(authentication, client)
        // The right to list covers what its owner may pull; no token names all of that.
        return grantOf({ ...authentication, claims: undefined })
      } else {
        const action = actionOf(method, target)
        if (missing !== undefined) requireForeign(authentication, action, target.name, missing)
        const asked = missing ?? target.name
        requireAction(authentication, client, action, {
          name: target.name,
          asked,
          source: mountSource(target, query),
        })
      }
      return grantOf(authentication)
    },
  }
}

const LOG_IN = 'Cannot answer: log in'

function grantOf({ identity, claims }: Pick<Authentication, 'identity' | 'claims'>): Grant {
  return {
    principal: identity.principal,
    may: (action, name) =>
      identity.may(action, name) && (claims === undefined || isGranted(claims.access, action, name)),
  }
}

type RepositoryTarget = Exclude<Target, { readonly kind: 'ping' | 'catalog' }>

function actionOf(method: string, { kind }: RepositoryTarget): RepositoryAction {
  if (kind === 'uploads' || kind === 'upload') return 'push'
  if (method === 'DELETE') return 'delete'
  return method === 'GET' || method === 'HEAD' ? 'pull' : 'push'
}

interface Names {
  readonly name: RepositoryName
  /** What a refusal speaks of: the name that is meant would tell that there is no repository of ours of this one. */
  readonly asked: RepositoryName
  /** Of a mount. */
  readonly source: RepositoryName | undefined
}

function requireAction(
  authentication: Authentication,
  client: ClientInfo,
  action: RepositoryAction,
  { name, asked, source }: Names,
): void {
  const { identity, claims, isBare } = authentication
  const isAllowed = identity.may(action, name)
  if (isAllowed && (claims === undefined || isGranted(claims.access, action, name))) return
  const what = `${WORDS[action]} ${asked}`
  // Who asks bare does what the answer says. Clients that have a token name the source themselves, and some of them
  // understand only one scope in the answer to it.
  const also = isBare && source !== undefined ? ` ${scopeFor('pull', source)}` : ''
  refuse(authentication, client, isAllowed, what, scopeFor(action, asked) + also)
}

/** From where a blob shall be mounted, which wants a right of its own. */
function mountSource(target: Target, query: URLSearchParams): RepositoryName | undefined {
  const from = query.get('from')
  if (target.kind !== 'uploads' || !query.has('mount') || from === null) return undefined
  return isRepositoryPath(from) ? parseRepositoryName(from) : undefined
}

/**
 * Whoever may have what was asked for, and nothing of the other registry, is told that it is not there, as without that
 * registry: clients look for what they are about to push.
 */
function requireForeign(
  { identity }: Authentication,
  action: RepositoryAction,
  name: RepositoryName,
  missing: RepositoryName,
): void {
  if (identity.may(action, name) || !identity.may(action, missing)) return
  throw new RegistryError('name-unknown', `Cannot find repository ${missing}: nothing has been pushed to it`)
}

function requireCatalog(authentication: Authentication, client: ClientInfo): void {
  const { identity, claims } = authentication
  const isAllowed = identity.mayListCatalog()
  if (isAllowed && (claims === undefined || isCatalogGranted(claims.access))) return
  refuse(authentication, client, isAllowed, 'list the catalog', CATALOG_SCOPE)
}

const WORDS = { pull: 'pull from', push: 'push to', delete: 'delete from' } as const

function refuse(
  { identity, isBare }: Authentication,
  client: ClientInfo,
  canTokenHelp: boolean,
  what: string,
  scope: string,
): never {
  const isAnonymous = identity.principal.kind === 'anonymous'
  if (canTokenHelp || isAnonymous) {
    const message = isAnonymous ? `Cannot ${what}: log in` : `Cannot ${what}: the token is for something else`
    if (isBare && client.isEncrypted) throw passwordChallengeError(message)
    throw challengeError(client, message, { scope, ...(!isBare && { error: 'insufficient_scope' }) })
  }
  throw new RegistryError(
    'denied',
    `Cannot ${what}: ${describePrincipal(identity.principal)} has no right to`,
  )
}
