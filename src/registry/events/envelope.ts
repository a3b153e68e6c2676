import type { Requester } from '../app.ts'
import type { ContentEvent } from './observed-store.ts'

/** What existing receivers of distribution's notifications look for. */
export const EVENTS_TYPE = 'application/vnd.docker.distribution.events.v2+json'

export interface EnvelopeContext {
  /** Of the event, new for each. */
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly time: number
  /** `HOST:PORT` of this server. */
  readonly address: string
  /** Of this process. */
  readonly instanceID: string
}

/** Whose doing an event is: a client's, or the registry's own. */
export type Actor = Requester | 'retention'

/** One event in the form of distribution's notifications. */
export function formatEnvelope(event: ContentEvent, by: Actor, context: EnvelopeContext): string {
  const { kind, repository, digest, tag, mediaType, size } = event
  const { request, actor, base } = by === 'retention' ? BY_RETENTION : describeRequester(by)
  const target = {
    ...(mediaType !== undefined && { mediaType }),
    digest,
    ...(size !== undefined && { size, length: size }),
    repository,
    ...(base !== undefined && { url: `${base}/v2/${repository}/manifests/${digest}` }),
    ...(tag !== undefined && { tag }),
  }
  const source = { addr: context.address, instanceID: context.instanceID }
  const timestamp = new Date(context.time).toISOString()
  return JSON.stringify({
    events: [{ id: context.id, timestamp, action: kind, target, request, actor, source }],
  })
}

/** No user has a colon in the name. */
const BY_RETENTION = { request: {}, actor: { name: 'slipway:retention' }, base: undefined }

function describeRequester({ requestID, method, principal, client }: Requester) {
  const { headers, address, isEncrypted } = client
  const host =
    headers.host !== undefined && /^[A-Za-z0-9.\-[\]:]{1,300}$/.test(headers.host) ? headers.host : ''
  return {
    request: {
      id: requestID,
      addr: address,
      host,
      method,
      useragent: (headers['user-agent'] ?? '').slice(0, 512),
    },
    actor: principal.kind === 'anonymous' ? {} : { name: principal.name },
    base: host === '' ? undefined : `${isEncrypted ? 'https' : 'http'}://${host}`,
  }
}
