import { isJsonObject, parseJson } from '../oci/json.ts'
import { MAX_MANIFEST_BYTES } from '../oci/manifest.ts'
import { displayForeign, displayUrl, RemoteError, type RemoteErrorCode } from './errors.ts'
import type { HttpResponse } from './transport.ts'

/** A body that is small by its nature. @throws RemoteError `response-invalid` when it is not */
export async function smallBody(response: HttpResponse, limitBytes = MAX_MANIFEST_BYTES): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body('small')) {
    chunks.push(chunk)
    size += chunk.length
    if (size > limitBytes)
      throw new RemoteError(
        'response-invalid',
        `Cannot read ${displayUrl(response.url)}: the answer is longer than ${limitBytes} bytes`,
      )
  }
  return Buffer.concat(chunks, size)
}

/** Undefined for what is not JSON. */
export async function jsonBody(response: HttpResponse): Promise<unknown> {
  return parseJson(await smallBody(response))
}

/** The header's value without parameters, in lower case: `application/json; charset=utf-8`. */
export function contentType(response: HttpResponse): string | undefined {
  return response.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
}

/** Bytes, as `Content-Length` says; undefined when it does not. */
export function contentLength(response: HttpResponse): number | undefined {
  const text = response.headers['content-length']
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/**
 * What a response means that the caller has no use for; reads its body for the registry's own words
 * (distribution-spec "Error Codes").
 * @param action `Cannot push app to localhost:5000`
 */
export async function responseError(action: string, response: HttpResponse): Promise<RemoteError> {
  const { status } = response
  const { code, text } = await firstError(response)
  const said = text === '' ? `it answered ${status}` : `it answered ${status}: ${text}`
  const retryAfter = retryAfterMs(response)
  return new RemoteError(errorCode(status, code), `${action}: ${said}`, {
    detail: {
      status,
      ...(code !== '' && { code }),
      ...(retryAfter !== undefined && { retryAfter: Math.ceil(retryAfter / 1000) }),
    },
    ...(retryAfter !== undefined && { hint: `try again in ${Math.ceil(retryAfter / 1000)} seconds` }),
  })
}

/** `Retry-After` in seconds; the form with a date is not worth reading. */
export function retryAfterMs(response: HttpResponse): number | undefined {
  const text = response.headers['retry-after']
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined
}

function errorCode(status: number, code: string): RemoteErrorCode {
  if (status === 404) return 'content-missing'
  if (status === 401) return 'unauthorized'
  if (status === 403 || status === 405) return 'denied'
  if (status === 429 || code === 'TOOMANYREQUESTS') return 'rate-limited'
  if (status >= 500) return 'registry-failed'
  return status >= 400 ? 'content-refused' : 'response-invalid'
}

const MAX_ERROR_BYTES = 64 * 1024

async function firstError(response: HttpResponse): Promise<{ readonly code: string; readonly text: string }> {
  let value: unknown
  try {
    value = parseJson(await smallBody(response, MAX_ERROR_BYTES))
  } catch (error) {
    // The status says enough where the words that go with it do not arrive.
    if (!(error instanceof RemoteError)) throw error
  }
  const errors = isJsonObject(value) && Array.isArray(value.errors) ? value.errors : []
  const first: unknown = errors[0]
  if (!isJsonObject(first)) return { code: '', text: '' }
  const code = typeof first.code === 'string' ? displayForeign(first.code) : ''
  const message = typeof first.message === 'string' ? displayForeign(first.message) : ''
  return { code, text: [code, message].filter(part => part !== '').join(': ') }
}
