import { type Identity, subjectOf } from './identity.ts'
import { grantScopes } from './scope.ts'
import { type AccessClaim, type Claims, signToken, type TokenUse } from './signed-token.ts'

/** Short: what is taken away from somebody is looked up at each use, but what a thief has is over soon. In seconds. */
export const ACCESS_LIFETIME = 300
const REFRESH_LIFETIME = 90 * 24 * 3600

export interface TokenIssuer {
  /** Good for the part of the scopes that is allowed. */
  access(
    identity: Identity,
    scopes: readonly string[],
  ): { readonly token: string; readonly access: readonly AccessClaim[] }
  /** Good for getting others, as long as the password stays. */
  refresh(identity: Identity): string
}

/**
 * @param now milliseconds since the epoch
 * @param meantBy the repository that may be meant by a name, beside its own: clients of a mirror ask for a token by the
 * name that they use, and rights are about the one that is meant
 */
export function createTokenIssuer(
  key: Uint8Array,
  now: () => number,
  meantBy: (name: string) => string | undefined = () => undefined,
): TokenIssuer {
  const sign = (use: TokenUse, identity: Identity, lifetime: number, access: Claims['access']): string => {
    const iat = Math.floor(now() / 1000)
    const { principal, fingerprint } = identity
    return signToken({ use, sub: subjectOf(principal), fingerprint, iat, exp: iat + lifetime, access }, key)
  }
  return {
    access(identity, scopes) {
      const access = grantScopes(
        [...scopes, ...scopes.flatMap(scope => meantScopes(scope, meantBy))],
        identity,
      )
      return { token: sign('access', identity, ACCESS_LIFETIME, access), access }
    },
    refresh: identity => sign('refresh', identity, REFRESH_LIFETIME, []),
  }
}

/** What is elsewhere can only be pulled. */
function meantScopes(scopes: string, meantBy: (name: string) => string | undefined): readonly string[] {
  return scopes.split(' ').flatMap(scope => {
    const [, name = '', actions = ''] = /^repository:(.+):([^:]*)$/.exec(scope) ?? []
    const meant = /^(.*,)?(pull|\*)(,.*)?$/.test(actions) ? meantBy(name) : undefined
    return meant === undefined ? [] : [`repository:${meant}:pull`]
  })
}
