import type { ClientInfo } from '../access.ts'
import { RegistryError, type RegistryErrorCode } from '../errors.ts'

/** The name under which tokens are asked for; one registry, one service. */
export const SERVICE = 'slipway'

export interface Challenge {
  readonly scope?: string
  /** RFC 6750, section 3.1: why the token that was sent does not do. */
  readonly error?: 'invalid_token' | 'insufficient_scope'
}

/** 401 with what to do: get a token at the URL that leads to us from where the client is. */
export function challengeError(
  client: ClientInfo,
  message: string,
  { scope, error }: Challenge = {},
): RegistryError {
  const parameters = [
    `realm="${tokenUrl(client)}"`,
    `service="${SERVICE}"`,
    ...(scope === undefined ? [] : [`scope="${scope}"`]),
    ...(error === undefined ? [] : [`error="${error}"`]),
  ]
  return refusal('unauthorized', message, { 'WWW-Authenticate': `Bearer ${parameters.join(',')}` })
}

/** 401 to who is to send a name and a password along, without a token. */
export function passwordChallengeError(message: string): RegistryError {
  return refusal('unauthorized', message, { 'WWW-Authenticate': `Basic realm="${SERVICE}"` })
}

export function tooMany(seconds: number, message: string): RegistryError {
  return refusal('rate-limited', message, { 'Retry-After': String(seconds) })
}

/**
 * Proxies tell by `X-Forwarded-*` how they were reached. Anyone may send these, and fools only themselves: the answer
 * goes to who has sent them.
 */
function tokenUrl({ headers, isEncrypted }: ClientInfo): string {
  const forwardedHost = first(headers['x-forwarded-host'])
  const host = [forwardedHost, headers.host, first(headers[':authority'])].find(isHostAndPort) ?? 'localhost'
  const proto = first(headers['x-forwarded-proto'])?.toLowerCase()
  const scheme = proto === 'https' || proto === 'http' ? proto : isEncrypted ? 'https' : 'http'
  return `${scheme}://${host}/token`
}

function first(value: string | readonly string[] | undefined): string | undefined {
  return [value ?? []].flat()[0]?.split(',')[0]?.trim()
}

/** It becomes part of a header, so nothing else may be in it. */
function isHostAndPort(text: string | undefined): text is string {
  return text !== undefined && /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/.test(text)
}

function refusal(
  code: RegistryErrorCode,
  message: string,
  headers: Readonly<Record<string, string>>,
): RegistryError {
  return new RegistryError(code, message, { headers })
}
