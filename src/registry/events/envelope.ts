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

/** One event in the form of distribution's notifications. */
export function formatEnvelope(event: ContentEvent, by: Requester, context: EnvelopeContext): string {
  const { kind, repository, digest, tag, mediaType, size } = event
  const { headers, address, isEncrypted } = by.client
  const host =
    headers.host !== undefined && /^[A-Za-z0-9.\-[\]:]{1,300}$/.test(headers.host) ? headers.host : ''
  const path = `/v2/${repository}/manifests/${digest}`
  const target = {
    ...(mediaType !== undefined && { mediaType }),
    digest,
    ...(size !== undefined && { size, length: size }),
    repository,
    ...(host !== '' && { url: `${isEncrypted ? 'https' : 'http'}://${host}${path}` }),
    ...(tag !== undefined && { tag }),
  }
  const request = {
    id: by.requestID,
    addr: address,
    host,
    method: by.method,
    useragent: (headers['user-agent'] ?? '').slice(0, 512),
  }
  const actor = by.principal.kind === 'anonymous' ? {} : { name: by.principal.name }
  const source = { addr: context.address, instanceID: context.instanceID }
  const timestamp = new Date(context.time).toISOString()
  return JSON.stringify({
    events: [{ id: context.id, timestamp, action: kind, target, request, actor, source }],
  })
}
