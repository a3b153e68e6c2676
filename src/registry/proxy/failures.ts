/**
 * What to do about a registry that fails. Its failures are remembered for seconds, so that many clients do not each
 * wait for the same time-out, and long enough for nobody to notice when it is back.
 */
import { OciError } from '../../oci/errors.ts'
import { RemoteError, type RemoteErrorCode } from '../../remote/errors.ts'
import { RegistryError } from '../errors.ts'

export interface Failures {
  /** @throws the failure of a moment ago of this registry as a whole, or with this very thing */
  recall(host: string, key: string): 'missing' | undefined
  note(host: string, key: string, error: unknown): void
  noteMissing(key: string): void
}

/** "No", and "not there". */
const REFUSED_MS = 10_000
const UNREACHABLE_MS = 10_000
/** However long the registry wants us to wait. */
const MAX_LIMITED_MS = 60_000
const MAX_REMEMBERED = 1000

interface Failure {
  readonly error: RemoteError | 'missing'
  readonly until: number
}

export function createFailures(now: () => number): Failures {
  const failures = new Map<string, Failure>()

  const remember = (key: string, error: Failure['error'], ms: number): void => {
    failures.delete(key)
    failures.set(key, { error, until: now() + ms })
    const oldest = failures.size > MAX_REMEMBERED ? failures.keys().next().value : undefined
    if (oldest !== undefined) failures.delete(oldest)
  }

  return {
    recall(host, key) {
      for (const each of [`host ${host}`, key]) {
        const failure = failures.get(each)
        if (failure === undefined) continue
        if (failure.until <= now()) failures.delete(each)
        else if (failure.error === 'missing') return 'missing'
        else throw failure.error
      }
      return undefined
    },
    noteMissing: key => remember(key, 'missing', REFUSED_MS),
    note(host, key, error) {
      if (!(error instanceof RemoteError)) return
      if (error.code === 'registry-unreachable') remember(`host ${host}`, error, UNREACHABLE_MS)
      if (error.code === 'rate-limited')
        remember(`host ${host}`, error, Math.min((retryAfter(error) ?? 10) * 1000, MAX_LIMITED_MS))
      if (REFUSALS.has(error.code)) remember(key, error, REFUSED_MS)
    },
  }
}

const REFUSALS: ReadonlySet<RemoteErrorCode> = new Set(['unauthorized', 'denied'])

/** True for the failures of a registry that is not itself: what was cached is then better than nothing. */
export function isOutage(error: unknown): boolean {
  return error instanceof RemoteError && OUTAGES.has(error.code)
}

const OUTAGES: ReadonlySet<RemoteErrorCode> = new Set([
  'registry-unreachable',
  'registry-failed',
  'rate-limited',
  'response-invalid',
  'tls-failed',
])

/** A failure of the upstream as our clients should see it: whose it is, and what can be done. Others as they are. */
export function upstreamError(
  error: unknown,
  host: string,
  missing: 'manifest-unknown' | 'blob-unknown' = 'manifest-unknown',
): unknown {
  if (error instanceof OciError)
    return new RegistryError('upstream-failed', `Cannot trust what ${host} sent: ${error.message}`, {
      cause: error,
    })
  if (!(error instanceof RemoteError)) return error
  const [code, advice] = ANSWERS[error.code]
  const details = error.hint === undefined ? error.message : `${error.message} (${error.hint})`
  const said = error.code === 'credentials-invalid' ? '' : `: ${details}`
  const wait = retryAfter(error)
  return new RegistryError(
    code === 'manifest-unknown' ? missing : code,
    `Cannot pull through from ${host}${said}; ${advice}`,
    {
      cause: error,
      ...(wait !== undefined && { headers: { 'Retry-After': String(wait) } }),
    },
  )
}

/** Never 401: our client would take it for ours, and send its own credentials again. */
const ANSWERS = {
  'registry-unreachable': ['upstream-unreachable', 'it is not cached here either; try again later'],
  'tls-failed': ['upstream-failed', 'who runs this registry can set insecure or http for it'],
  unauthorized: [
    'denied',
    'it is not there, or who runs this registry must give it credentials for that one',
  ],
  denied: ['denied', 'the credentials of this registry for that one do not allow it'],
  'rate-limited': ['rate-limited', 'credentials for it may raise the limit'],
  'content-missing': ['manifest-unknown', 'it does not have it'],
  'content-refused': ['upstream-failed', 'try again later'],
  'registry-failed': ['upstream-failed', 'try again later'],
  'response-invalid': ['upstream-failed', 'is it a registry?'],
  'credentials-invalid': ['upstream-failed', 'the credentials of this registry for it cannot be used'],
} as const satisfies Record<
  RemoteErrorCode,
  readonly [
    'upstream-unreachable' | 'upstream-failed' | 'denied' | 'rate-limited' | 'manifest-unknown',
    string,
  ]
>

/** Seconds. */
function retryAfter({ detail }: RemoteError): number | undefined {
  const told =
    typeof detail === 'object' && detail !== null && 'retryAfter' in detail ? detail.retryAfter : ''
  return typeof told === 'number' ? told : undefined
}
