/**
 * Tells receivers what happened to manifests. An event is in the queue before the client has its answer, so what was
 * acknowledged is told, at least once; delivery then happens beside everything else, and no request ever waits for a
 * receiver. One receiver's events arrive in their order: while it fails, the first one is tried again, later and later.
 */
import { createHmac, randomUUID } from 'node:crypto'
import type { WebhookQueues } from '../../store/webhook-rows.ts'
import { repositoryMatcher } from '../repository-pattern.ts'
import { type Actor, EVENTS_TYPE, formatEnvelope } from './envelope.ts'
import type { ContentEvent } from './observed-store.ts'

export interface Webhook {
  /** `http` or `https`; no two webhooks have the same. */
  readonly url: string
  readonly events: readonly ContentEvent['kind'][]
  /** Patterns. */
  readonly repositories: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  /** Signs each message. */
  readonly secret?: string
}

/** Sends one message. Answers the status. Throws when there is none, within a bounded time. */
export type SendWebhook = (
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
) => Promise<number>

export interface WebhooksDeps {
  readonly webhooks: readonly Webhook[]
  readonly queues: WebhookQueues
  readonly send: SendWebhook
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** `HOST:PORT` of this server. */
  readonly address: () => string
  readonly log: WebhookLog
}

/** Receivers are named by their host: the rest of a URL may be secret. */
export interface WebhookLog {
  delivered(host: string): void
  failed(host: string, problem: string, nextTryMs: number): void
  /** Messages will never arrive. */
  dropped(host: string, count: number, reason: string): void
  /** An event could not be put into the queue. */
  lost(host: string, error: unknown): void
}

export interface Webhooks extends AsyncDisposable {
  /** Returns at once. Never throws. */
  listen(event: ContentEvent, by: Actor): void
}

/** Other processes add to the queues too, and a receiver that failed is due again some time. */
const POLL_MS = 2000
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 5 * 60 * 1000
/** Three days: a receiver that was down over a weekend has missed nothing. */
export const MAX_AGE_MS = 3 * 24 * 60 * 60 * 1000

/** Runs until it is disposed; what is then under way is delivered again by the next process. */
export function startWebhooks(deps: WebhooksDeps): Webhooks {
  const { webhooks, queues, now, log, address } = deps
  const stop = new AbortController()
  const instanceID = randomUUID()
  const receivers = webhooks.map(webhook => {
    const matchers = webhook.repositories.map(repositoryMatcher)
    return {
      webhook,
      host: new URL(webhook.url).host,
      wants: ({ kind, repository }: ContentEvent): boolean =>
        webhook.events.includes(kind) && matchers.some(matches => matches(repository)),
      loop: createLoop(() => deliverAll(deps, webhook, stop.signal)),
    }
  })
  const timer = setInterval(() => {
    for (const { loop } of receivers) loop.wake()
  }, POLL_MS).unref()
  for (const { loop } of receivers) loop.wake()
  queues.removeOlder(now() - MAX_AGE_MS)
  return {
    listen(event, by) {
      for (const { webhook, host, wants, loop } of receivers) {
        if (!wants(event)) continue
        try {
          const context = { id: randomUUID(), time: now(), address: address(), instanceID }
          const durability = event.kind === 'pull' ? 'relaxed' : 'durable'
          const pushedOut = queues.add(webhook.url, formatEnvelope(event, by, context), durability)
          if (pushedOut > 0) log.dropped(host, pushedOut, 'too many wait')
          loop.wake()
        } catch (error) {
          // Such as a full disk: the push itself has succeeded.
          log.lost(host, error)
        }
      }
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      stop.abort()
      await Promise.all(receivers.map(({ loop }) => loop.idle()))
      for (const { webhook } of receivers) queues.release(webhook.url)
    },
  }
}

/** Runs a task, and once more when it was woken meanwhile; never twice at once. */
function createLoop(task: () => Promise<void>): { wake(): void; idle(): Promise<void> } {
  let running: Promise<void> | undefined
  let isWoken = false
  const run = async (): Promise<void> => {
    while (isWoken) {
      isWoken = false
      await task()
    }
    running = undefined
  }
  return {
    wake() {
      isWoken = true
      running ??= run()
    },
    idle: async () => running,
  }
}

/** Until the queue is empty, another process's, or its receiver fails. */
async function deliverAll(deps: WebhooksDeps, webhook: Webhook, stop: AbortSignal): Promise<void> {
  const { queues, now, log } = deps
  const { host } = new URL(webhook.url)
  try {
    for (let message = queues.take(webhook.url); message !== undefined; message = queues.take(webhook.url)) {
      if (stop.aborted) return
      if (now() - message.queuedAt > MAX_AGE_MS) {
        queues.remove(webhook.url, message.id)
        log.dropped(host, 1, 'its receiver has failed for too long')
        continue
      }
      const problem = await deliver(deps, webhook, message.body, stop)
      if (stop.aborted) return
      if (problem === undefined) {
        queues.remove(webhook.url, message.id)
        log.delivered(host)
        continue
      }
      const wait = Math.min(FIRST_RETRY_MS * 2 ** Math.min(message.failures, 20), LAST_RETRY_MS)
      queues.retryAt(webhook.url, now() + wait)
      log.failed(host, problem, wait)
      return
    }
    queues.release(webhook.url)
  } catch (error) {
    // The database is busy or full: the message is still there, and the next poll comes.
    log.failed(host, error instanceof Error ? error.message : String(error), POLL_MS)
  }
}

/** Tells what went wrong. */
async function deliver(
  { send }: WebhooksDeps,
  { url, headers, secret }: Webhook,
  body: string,
  stop: AbortSignal,
): Promise<string | undefined> {
  const signature = secret === undefined ? {} : { 'X-Hub-Signature-256': signatureOf(body, secret) }
  try {
    const status = await send(url, { 'Content-Type': EVENTS_TYPE, ...headers, ...signature }, body, stop)
    return status >= 200 && status < 300 ? undefined : `it answered ${status}`
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { cause } = error
    return cause instanceof Error ? cause.message : error.message
  }
}

/** HMAC-SHA-256 over the body, in the form that receivers of GitHub's webhooks check. */
export function signatureOf(body: string, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}
