import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { WebhookLog, Webhooks } from '../../registry/events/webhooks.ts'
import { type Collector, createCounter, gauge } from '../../registry/operations/metrics.ts'
import { webhookSettings } from '../config/webhook.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { VERSION } from '../version.ts'
import type { Notices } from './notices.ts'

/** Disposing stops deliveries; what is not delivered stays in the store. */
export interface WiredWebhooks extends AsyncDisposable {
  readonly deps: { readonly listen?: Webhooks['listen'] }
  readonly collectors: readonly Collector[]
}

/** For one receiver; a few megabytes. */
const MAX_WAITING = 10_000

/** @param address of the server, known once it listens. @throws CliError `config-invalid-file` */
export async function wireWebhooks(
  { settings, store }: Session,
  terminal: Terminal,
  notices: Notices,
  address: () => string,
): Promise<WiredWebhooks> {
  const webhooks = webhookSettings(settings.webhooks)
  if (webhooks.length === 0) return { deps: {}, collectors: [], [Symbol.asyncDispose]: async () => undefined }
  const [{ startWebhooks }, { createSendWebhook, SEND_TIMEOUT_MS }, { createWebhookQueues }] =
    await Promise.all([
      import('../../registry/events/webhooks.ts'),
      import('../../registry/events/send-webhook.ts'),
      import('../../store/webhook-rows.ts'),
    ])
  const queues = createWebhookQueues({
    database: store.disk.database,
    now: terminal.now,
    owner: randomUUID(),
    leaseMs: 3 * SEND_TIMEOUT_MS,
    maxWaiting: MAX_WAITING,
  })
  const { log, collect } = watchDeliveries(notices)
  const running = startWebhooks({
    webhooks,
    queues,
    send: createSendWebhook(`slipway/${VERSION}`),
    now: terminal.now,
    address: () => address().replace(/^(0\.0\.0\.0|\[::\])(?=:)/, hostname()),
    log,
  })
  const waiting = () => [gauge('slipway_webhook_waiting', 'Events not delivered yet.', queues.count())]
  return {
    deps: { listen: running.listen },
    collectors: [collect, waiting],
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}

/** A receiver that fails is told of once, and again when it has recovered; metrics count each try. */
function watchDeliveries(notices: Notices): { log: WebhookLog; collect: Collector } {
  const counter = createCounter(
    'slipway_webhook_deliveries_total',
    'Tries to deliver an event, by their result.',
  )
  const failing = new Set<string>()
  const log: WebhookLog = {
    delivered(host) {
      counter.add({ result: 'delivered' })
      if (failing.delete(host)) notices.info('webhook', `${host} takes events again`)
    },
    failed(host, problem, nextTryMs) {
      counter.add({ result: 'failed' })
      if (failing.has(host)) return
      failing.add(host)
      notices.problem(
        'webhook',
        `its events wait, the next try is in ${nextTryMs / 1000} s`,
        `${host}: ${problem}`,
      )
    },
    dropped(host, count, reason) {
      counter.add({ result: 'dropped' }, count)
      notices.problem('webhook', `${count} of its events are dropped`, `${host}: ${reason}`)
    },
    lost(host, error) {
      counter.add({ result: 'dropped' })
      notices.problem('webhook', `an event for ${host} is lost`, error)
    },
  }
  return { log, collect: () => [counter.collect()] }
}
