/**
 * One line a request. What clients send is in it as data only: it can begin no line and steer no terminal. The query
 * is left out and no header is in it but the user agent, so nothing secret is.
 */
import type { ObservedRequest } from '../../registry/observation.ts'
import type { LogForm } from '../config/serve.ts'
import type { Terminal } from '../terminal.ts'
import { printableLine } from '../text/printable.ts'

/** Undefined when requests are not logged. */
export function createRequestLog(
  terminal: Terminal,
  form: LogForm,
): ((request: ObservedRequest) => void) | undefined {
  if (form === 'off') return undefined
  const format = form === 'json' ? formatJson : formatText
  return request => {
    if (isProbe(request)) return
    terminal.stderr.write(`${format(request, new Date(terminal.now()).toISOString())}\n`)
  }
}

/** Of every few seconds, and telling nothing while all is well. */
function isProbe({ url, status }: ObservedRequest): boolean {
  return status === 200 && /^\/(livez|readyz|health|metrics)(\?|$)/.test(url)
}

const MAX_TEXT = 512

function formatJson(request: ObservedRequest, time: string): string {
  const { id, method, route, status, bytesIn, bytesOut, isComplete, address, userAgent } = request
  return JSON.stringify({
    time,
    level: status >= 500 ? 'error' : 'info',
    id,
    client: address,
    user: userOf(request),
    method,
    path: pathOf(request),
    route,
    ...contentOf(request),
    status,
    bytesIn,
    bytesOut,
    ms: millisecondsOf(request),
    ...(!isComplete && { aborted: true }),
    ...(userAgent !== undefined && { userAgent: userAgent.slice(0, MAX_TEXT) }),
  })
}

function formatText(request: ObservedRequest, time: string): string {
  const { id, method, status, bytesIn, bytesOut, isComplete, address } = request
  const words = [
    ...[time, address, userOf(request) ?? '-', method, pathOf(request), status],
    ...[
      `in=${bytesIn}`,
      `out=${bytesOut}`,
      `${millisecondsOf(request)}ms`,
      ...(isComplete ? [] : ['aborted']),
      id,
    ],
  ]
  return printableLine(words.join(' '))
}

/** What a request was about, in the registry's words. */
function contentOf({ target }: ObservedRequest): Readonly<Record<string, string>> {
  if (target === undefined || !('name' in target)) return {}
  const { name: repository } = target
  if (target.kind === 'manifest') return { repository, ...target.reference }
  if ('digest' in target) return { repository, digest: target.digest }
  return { repository }
}

function userOf({ principal }: ObservedRequest): string | undefined {
  if (principal === undefined || principal.kind === 'anonymous') return undefined
  return principal.kind === 'user' ? principal.name : `robot:${principal.name}`
}

function pathOf({ url }: ObservedRequest): string {
  const [path = ''] = url.split('?')
  return path.slice(0, MAX_TEXT)
}

function millisecondsOf({ tookMs }: ObservedRequest): number {
  return Math.round(tookMs * 10) / 10
}
