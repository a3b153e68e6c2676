/**
 * Tokens that this registry gives out and takes back: JSON Web Tokens with HMAC-SHA-256, whose key every process over
 * one store shares. Nobody else reads them. There is one algorithm, and the header is compared as text: what a
 * token says about its own algorithm is not believed.
 *
 * ```
 * base64url(header) . base64url(claims) . base64url(HMAC(key, header.claims))
 * ```
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { isJsonObject, parseJson } from '../../oci/json.ts'
import type { RepositoryAction } from '../access.ts'

/** `refresh` can only be exchanged for `access`. */
export type TokenUse = 'access' | 'refresh'

export interface Claims {
  readonly use: TokenUse
  /** `anonymous`, `user:NAME`, `robot:NAME` */
  readonly sub: string
  /** Of the secret that it was given for: when that changes, the token is over. */
  readonly fingerprint: string
  /** Seconds since the epoch. */
  readonly iat: number
  readonly exp: number
  readonly access: readonly AccessClaim[]
}

/** As distribution's token specification writes it: `{"type":"repository","name":"app","actions":["pull"]}` */
export interface AccessClaim {
  readonly type: string
  readonly name: string
  readonly actions: readonly (RepositoryAction | '*')[]
}

const HEADER = Buffer.from('{"typ":"JWT","alg":"HS256"}').toString('base64url')
const MAX_TOKEN_LENGTH = 12 * 1024
/** Clients use a token to its last second, and their requests travel. */
const LEEWAY_SECONDS = 30

export function signToken(claims: Claims, key: Uint8Array): string {
  const signed = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${signed}.${signatureOf(signed, key).toString('base64url')}`
}

/** The claims of a token that is ours and not over; undefined for anything else. @param now milliseconds since the epoch */
export function verifyToken(token: string, key: Uint8Array, now: number): Claims | undefined {
  if (token.length > MAX_TOKEN_LENGTH) return undefined
  const [header, payload = '', signature = '', ...rest] = token.split('.')
  if (header !== HEADER || rest.length > 0) return undefined
  const given = Buffer.from(signature, 'base64url')
  const wanted = signatureOf(`${HEADER}.${payload}`, key)
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined
  const claims = parseJson(Buffer.from(payload, 'base64url'))
  // Whatever carries our signature, we have written.
  if (!isJsonObject(claims)) return undefined
  const known = claims as unknown as Claims
  const seconds = now / 1000
  return known.iat - LEEWAY_SECONDS <= seconds && seconds < known.exp + LEEWAY_SECONDS ? known : undefined
}

function signatureOf(text: string, key: Uint8Array): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
