import type { SendWebhook } from './webhooks.ts'

/** For the whole exchange. */
export const SEND_TIMEOUT_MS = 10_000

/** Follows no redirect: where events go is decided by the configuration alone. Reads no body. */
export function createSendWebhook(userAgent: string): SendWebhook {
  return async (url, headers, body, signal) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'User-Agent': userAgent, ...headers },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(SEND_TIMEOUT_MS)]),
    })
    await response.body?.cancel()
    return response.status
  }
}
