/**
 * What clients send that is no HTTP: Node's parser gives up before there is a request, so nothing of `app.ts` runs.
 * They are answered in the form of the specification all the same, and their connection is closed.
 */
import { answerOf, RegistryError } from './errors.ts'

/** What to write to the client, or nothing where there is no client left. */
export function clientErrorAnswer(error: Error): string | undefined {
  const code = codeOf(error)
  return code === 'ECONNRESET' || code === 'EPIPE' ? undefined : answerText(error)
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined
}

function answerText(error: Error): string {
  const { status, body } = answerOf(refusalOf(error))
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? 'Bad Request'}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Docker-Distribution-API-Version: registry/2.0',
    'Connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

const REASONS: Readonly<Record<number, string>> = {
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}

function refusalOf(error: Error): RegistryError {
  switch (codeOf(error)) {
    case 'HPE_HEADER_OVERFLOW':
      return new RegistryError('header-too-large', 'Cannot read request: its header is too large')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new RegistryError('request-too-slow', 'Cannot read request: its header took too long to arrive')
    default:
      return new RegistryError('request-invalid', 'Cannot read request: it is not HTTP')
  }
}
