/** `[[webhook]]` of the configuration file. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Webhook } from '../../registry/events/webhooks.ts'
import { patternProblem } from '../../registry/repository-pattern.ts'
import { CliError } from '../errors.ts'
import type { RefuseKey } from './policy.ts'

/** As the file has it. */
export interface WebhookConfig {
  readonly url?: string
  readonly events?: readonly string[]
  readonly repositories?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly secret?: string
}

export const WEBHOOK_SHAPE = {
  list: {
    keys: {
      url: 'string',
      events: 'strings',
      repositories: 'strings',
      headers: { each: 'string' },
      secret: 'string',
    },
  },
} as const

const EVENTS = ['push', 'delete', 'pull'] as const
/** Pulls are many, and few want to know. */
const DEFAULT_EVENTS = ['push', 'delete'] as const

type Refuse = (problem: string) => Error

/** @throws what `refuse` makes, else CliError `config-invalid-file`; its message shows no more of a URL than its host */
export function webhookSettings(
  configs: readonly WebhookConfig[],
  refuse: RefuseKey = refused,
): readonly Webhook[] {
  const seen = new Set<string>()
  return configs.map((config, nth) => {
    const invalid = (problem: string): Error => refuse(['webhook'], problem, nth)
    const webhook = parseWebhook(config, invalid)
    if (seen.has(webhook.url))
      throw invalid(`has the same url at ${new URL(webhook.url).host} as one before it`)
    seen.add(webhook.url)
    return webhook
  })
}

function parseWebhook(
  { url, events, repositories = ['**'], headers = {}, secret }: WebhookConfig,
  invalid: Refuse,
): Webhook {
  if (url === undefined) throw invalid('has no url')
  if (!URL.canParse(url)) throw invalid('has a url that is none')
  const { protocol, username, password, host, href } = new URL(url)
  if (protocol !== 'http:' && protocol !== 'https:')
    throw invalid(`has a url at ${host} that is not http or https`)
  if (username !== '' || password !== '')
    throw invalid(`has a password in the url at ${host}; use headers = { Authorization = "..." }`)
  for (const pattern of repositories) {
    const problem = patternProblem(pattern)
    if (problem !== undefined) throw invalid(`has the pattern ${JSON.stringify(pattern)}, which ${problem}`)
  }
  for (const [name, value] of Object.entries(headers)) requireHeader(name, value, invalid)
  return {
    url: href,
    events: events === undefined ? DEFAULT_EVENTS : events.map(event => requireEvent(event, invalid)),
    repositories,
    headers: { ...headers },
    ...(secret !== undefined && { secret }),
  }
}

function requireEvent(text: string, invalid: Refuse): Webhook['events'][number] {
  const event = EVENTS.find(known => known === text)
  if (event !== undefined) return event
  throw invalid(`has the event ${JSON.stringify(text)}; events are ${EVENTS.join(', ')}`)
}

/** They say where a message ends and whose it is: sent otherwise, each delivery fails or means something else. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-encoding',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-hub-signature-256',
])

function requireHeader(name: string, value: string, invalid: Refuse): void {
  if (OWN_HEADERS.has(name.toLowerCase()))
    throw invalid(`has the header ${JSON.stringify(name)}, which is set for each message`)
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw invalid(`has the header ${JSON.stringify(name)}, which cannot be sent`)
  }
}

function refused(_place: readonly string[], problem: string): CliError {
  return new CliError('config-invalid-file', `Cannot read [[webhook]]: ${problem}`)
}
