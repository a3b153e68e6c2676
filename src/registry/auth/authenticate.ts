import type { ClientInfo } from '../access.ts'
import { challengeError, passwordChallengeError } from './challenge.ts'
import type { Identity } from './identity.ts'
import type { Login } from './login.ts'
import { isRobotToken } from './robots.ts'
import { type Claims, verifyToken } from './signed-token.ts'

/** Who asks, and by what they have shown it. */
export interface Authentication {
  readonly identity: Identity
  /** Of a token that we have given out: it is good for no more than this. */
  readonly claims?: Claims | undefined
  /** Nothing was shown at all. */
  readonly isBare: boolean
}

export interface AuthenticateDeps {
  readonly login: Login
  readonly key: Uint8Array
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

const MAX_HEADER_LENGTH = 14 * 1024

/**
 * @param countedOf whom to count failures to
 * @throws RegistryError `unauthorized` for what is shown and does not hold, `rate-limited`
 */
export async function authenticate(
  { login, key, now }: AuthenticateDeps,
  client: ClientInfo,
  countedOf: () => string,
): Promise<Authentication> {
  const { authorization } = client.headers
  if (authorization === undefined || authorization === '') return { identity: login.anonymous, isBare: true }
  const [, scheme = '', value = ''] =
    authorization.length > MAX_HEADER_LENGTH ? [] : (/^([A-Za-z]+) +(\S+) *$/.exec(authorization) ?? [])
  switch (scheme.toLowerCase()) {
    case 'basic': {
      const credential = parseBasic(value)
      const identity =
        credential && (await login.byPassword(credential.name, credential.password, countedOf()))
      if (identity) return { identity, isBare: false }
      const message = 'Cannot log in: the user name or the password is wrong'
      throw client.isEncrypted ? passwordChallengeError(message) : challengeError(client, message)
    }
    case 'bearer': {
      if (isRobotToken(value)) {
        const identity = login.byRobotToken(value, countedOf())
        if (identity !== undefined) return { identity, isBare: false }
      }
      const claims = verifyToken(value, key, now())
      const identity = claims?.use === 'access' ? await login.byClaims(claims) : undefined
      if (claims !== undefined && identity !== undefined) {
        // Of anonymous it gives no more than who shows nothing has; and mirrors are asked by other names than ours.
        const isAnonymous = identity.principal.kind === 'anonymous'
        return { identity, isBare: false, ...(!isAnonymous && { claims }) }
      }
      throw challengeError(client, 'Cannot use token: it is not of this registry, or has ended', {
        error: 'invalid_token',
      })
    }
    default:
      throw challengeError(client, 'Cannot log in: the Authorization header is neither Basic nor Bearer')
  }
}

/** Names have no colon; passwords may. Docker pads what it has kept with NUL bytes. */
export function parseBasic(value: string): { readonly name: string; readonly password: string } | undefined {
  const text = Buffer.from(value, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0
    ? undefined
    : { name: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') }
}
