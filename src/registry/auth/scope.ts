import { isRepositoryPath, type RepositoryName } from '../../oci/reference.ts'
import type { RepositoryAction } from '../access.ts'
import { RegistryError } from '../errors.ts'
import { ACTIONS } from './rights.ts'
import type { AccessClaim } from './signed-token.ts'

/** What somebody may do, as far as scopes can ask for it. */
export interface Grantable {
  may(action: RepositoryAction, name: RepositoryName): boolean
  mayListCatalog(): boolean
}

/** A push with mounts asks for a few; a token must fit into a header. */
const MAX_ASKED_LENGTH = 6000

/**
 * The part of the asked that is allowed. What is not allowed, not known or not well formed is left out and never
 * refused: clients ask for more than they need.
 * @param scopes each `TYPE:NAME:ACTION,...`, or several of those with spaces between
 * @throws RegistryError `size-invalid` for more scopes than anybody needs
 */
export function grantScopes(scopes: readonly string[], grantable: Grantable): readonly AccessClaim[] {
  const asked = scopes
    .join(' ')
    .split(' ')
    .filter(scope => scope !== '')
  if (asked.join(' ').length > MAX_ASKED_LENGTH)
    throw new RegistryError(
      'size-invalid',
      `Cannot give a token: want scopes of at most ${MAX_ASKED_LENGTH} characters together`,
    )
  const granted = new Map<string, AccessClaim>()
  for (const scope of asked) {
    const claim = grantScope(scope, grantable)
    if (claim === undefined) continue
    const key = `${claim.type}:${claim.name}`
    const before = granted.get(key)?.actions ?? []
    granted.set(key, { ...claim, actions: [...new Set([...before, ...claim.actions])] })
  }
  return [...granted.values()]
}

export function isGranted(claims: readonly AccessClaim[], action: RepositoryAction, name: string): boolean {
  return claims.some(
    claim => claim.type === 'repository' && claim.name === name && claim.actions.includes(action),
  )
}

export function isCatalogGranted(claims: readonly AccessClaim[]): boolean {
  return claims.some(({ type, name }) => type === 'registry' && name === 'catalog')
}

export const CATALOG_SCOPE = 'registry:catalog:*'

export function scopeFor(action: RepositoryAction, name: RepositoryName): string {
  // Who pushes or deletes also looks.
  return `repository:${name}:${action === 'pull' ? 'pull' : `pull,${action}`}`
}

function grantScope(scope: string, grantable: Grantable): AccessClaim | undefined {
  const [, type = '', name = '', actions = ''] = /^([a-z]+)(?:\([a-z0-9]*\))?:(.+):([^:]*)$/.exec(scope) ?? []
  if (type === 'registry' && name === 'catalog')
    return grantable.mayListCatalog() ? { type, name, actions: ['*'] } : undefined
  if (type !== 'repository' || !isRepositoryName(name)) return undefined
  const asked = new Set(actions.split(','))
  const allowed = ACTIONS.filter(
    action => (asked.has(action) || asked.has('*')) && grantable.may(action, name),
  )
  return allowed.length === 0 ? undefined : { type, name, actions: allowed }
}

function isRepositoryName(name: string): name is RepositoryName {
  return isRepositoryPath(name)
}
