import { CodedError } from '../oci/errors.ts'

export type RemoteErrorCode =
  /** No connection, or one that broke or stalled too often. */
  | 'registry-unreachable'
  | 'tls-failed'
  /** The registry wants (other) credentials. */
  | 'unauthorized'
  /** The registry knows us and says no. */
  | 'denied'
  | 'rate-limited'
  /** The registry has no such repository, manifest or blob. */
  | 'content-missing'
  /** The registry does not take what we send: an invalid manifest, a digest that does not match. */
  | 'content-refused'
  /** 5xx. */
  | 'registry-failed'
  /** The registry does not speak the distribution API as specified. */
  | 'response-invalid'
  /** Docker's config.json, or one of its credential helpers. */
  | 'credentials-invalid'

/** A registry that could not be used. Messages name the host and never carry credentials or query strings. */
export class RemoteError extends CodedError<RemoteErrorCode> {}

/** A URL for messages: without user, password, query (signed URLs hold secrets there) and fragment. */
export function displayUrl(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** Foreign text for a message: one line, no control characters, at most 300 characters. */
export function displayForeign(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .slice(0, 300)
}

/** True for a connection that broke: the same request may well succeed when it is sent again. */
export function isBrokenConnection(error: unknown): boolean {
  return error instanceof RemoteError && RETRYABLE.has(reasonOf(error))
}

/** True for a connection over which the other side fell silent. */
export function isStalled(error: unknown): boolean {
  return error instanceof RemoteError && reasonOf(error) === 'stalled'
}

/** True where TLS was offered and there is no TLS to be had, so that plain HTTP is worth a try. */
export function isWithoutTls(error: unknown): boolean {
  return error instanceof RemoteError && ['EPROTO', 'ECONNREFUSED'].includes(reasonOf(error))
}

const RETRYABLE: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ERR_STREAM_PREMATURE_CLOSE',
])

const UNREACHABLE: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'the connection broke'],
  ['EPIPE', 'the connection broke'],
  ['ERR_STREAM_PREMATURE_CLOSE', 'the connection broke'],
  ['ETIMEDOUT', 'the connection timed out'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'its name could not be looked up'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'the network is unreachable'],
  ['EADDRNOTAVAIL', 'no address to connect from'],
])

/** What node:http and node:tls throw, in our words; anything else as it is. */
export function connectionError(error: unknown, url: URL): unknown {
  if (!(error instanceof Error) || error instanceof CodedError) return error
  const reason = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const details = { cause: error, detail: { reason } }
  const why = UNREACHABLE.get(reason)
  if (why !== undefined) {
    return new RemoteError('registry-unreachable', `Cannot reach ${url.host}: ${why}`, {
      ...details,
      ...(reason === 'ECONNREFUSED' && url.protocol === 'https:' && { hint: httpHint(url) }),
    })
  }
  if (reason === 'EPROTO') {
    return new RemoteError('tls-failed', `Cannot reach ${url.host} over HTTPS: it does not speak TLS`, {
      ...details,
      hint: httpHint(url),
    })
  }
  if (/CERT|SIGNATURE|^ERR_TLS|^ERR_SSL|ISSUER|CRL/.test(reason)) {
    return new RemoteError('tls-failed', `Cannot trust ${url.host}: ${displayForeign(error.message)}`, {
      ...details,
      hint: `to accept any certificate, set insecure = true under [registry."${url.host}"]`,
    })
  }
  if (reason === 'HPE_HEADER_OVERFLOW')
    return new RemoteError(
      'response-invalid',
      `Cannot understand ${url.host}: its headers are too long`,
      details,
    )
  if (reason.startsWith('HPE_')) {
    return new RemoteError('response-invalid', `Cannot understand ${url.host}: its answer is not HTTP`, {
      ...details,
      ...(url.protocol === 'http:' && {
        hint: `if it speaks HTTPS, set http = false under [registry."${url.host}"]`,
      }),
    })
  }
  return error
}

function httpHint(url: URL): string {
  return `if the registry speaks plain HTTP, set http = true under [registry."${url.host}"]`
}

function reasonOf(error: RemoteError): string {
  const { detail } = error
  return typeof detail === 'object' && detail !== null && 'reason' in detail ? String(detail.reason) : ''
}
