import type { ObservedRequest } from '../observation.ts'
import { type Collector, createCounter, createHistogram, gauge } from './metrics.ts'

export interface RequestMetrics {
  began(): void
  ended(request: ObservedRequest): void
  readonly collect: Collector
}

/** In seconds: from an answer out of the database to a layer over a slow line. */
const DURATION_BOUNDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300]

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])

export function createRequestMetrics(): RequestMetrics {
  const requests = createCounter('slipway_http_requests_total', 'Requests answered, by what they were for.')
  const received = createCounter('slipway_http_received_bytes_total', 'Bytes of request bodies.')
  const sent = createCounter('slipway_http_sent_bytes_total', 'Bytes of response bodies.')
  const broken = createCounter(
    'slipway_http_aborted_total',
    'Requests whose client left before the answer was out.',
  )
  const durations = createHistogram(
    'slipway_http_request_duration_seconds',
    'From the head of a request to the end of its answer.',
    DURATION_BOUNDS,
  )
  let inFlight = 0
  return {
    began: () => void inFlight++,
    ended({ method: sentMethod, route, status, bytesIn, bytesOut, tookMs, isComplete }) {
      inFlight--
      const method = METHODS.has(sentMethod) ? sentMethod : 'other'
      requests.add({ method, route, status: String(status) })
      durations.observe({ method, route }, tookMs / 1000)
      if (bytesIn > 0) received.add({ route }, bytesIn)
      if (bytesOut > 0) sent.add({ route }, bytesOut)
      if (!isComplete) broken.add({ route })
    },
    collect: () => [
      ...[requests, received, sent, broken, durations].map(metric => metric.collect()),
      gauge('slipway_http_requests_in_flight', 'Requests being answered.', inFlight),
    ],
  }
}
