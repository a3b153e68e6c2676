/** `[[webhook]]` of the configuration file. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Webhook } from '../registry/events/webhooks.ts'
import { patternProblem } from '../registry/repository-pattern.ts'
import { CliError } from './errors.ts'

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

/** @throws CliError `config-invalid-file`; its message shows no more of a URL than its host */
export function webhookSettings(configs: readonly WebhookConfig[]): readonly Webhook[] {
  const seen = new Set<string>()
  return configs.map(config => {
    const webhook = parseWebhook(config)
    if (seen.has(webhook.url)) throw invalid(`two have the same url at ${new URL(webhook.url).host}`)
    seen.add(webhook.url)
    return webhook
  })
}

function parseWebhook({ url, events, repositories = ['**'], headers = {}, secret }: WebhookConfig): Webhook {
  if (url === undefined) throw invalid('one has no url')
  if (!URL.canParse(url)) throw invalid('a url is not one')
  const { protocol, username, password, host, href } = new URL(url)
  if (protocol !== 'http:' && protocol !== 'https:') throw invalid(`the url at ${host} is not http or https`)
  if (username !== '' || password !== '')
    throw invalid(`the url at ${host} has a password; use headers = { Authorization = "..." }`)
  for (const pattern of repositories) {
    const problem = patternProblem(pattern)
    if (problem !== undefined) throw invalid(`the pattern ${JSON.stringify(pattern)} ${problem}`)
  }
  for (const [name, value] of Object.entries(headers)) requireHeader(name, value)
  return {
    url: href,
    events: events === undefined ? DEFAULT_EVENTS : events.map(requireEvent),
    repositories,
    headers: { ...headers },
    ...(secret !== undefined && { secret }),
  }
}

function requireEvent(text: string): Webhook['events'][number] {
  const event = EVENTS.find(known => known === text)
  if (event !== undefined) return event
  throw invalid(`events are ${EVENTS.join(', ')}, not ${JSON.stringify(text)}`)
}

function requireHeader(name: string, value: string): void {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw invalid(`the header ${JSON.stringify(name)} cannot be sent`)
  }
}

function invalid(problem: string): CliError {
  return new CliError('config-invalid-file', `Cannot read [[webhook]]: ${problem}`)
}
