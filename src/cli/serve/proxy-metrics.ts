import { type Collector, createCounter } from '../../registry/operations/metrics.ts'
import type { ProxyUsage } from '../../registry/proxy/proxy-usage.ts'

/** What this process pulled through. */
export interface ProxyMetrics extends ProxyUsage {
  readonly collect: Collector
}

export function createProxyMetrics(): ProxyMetrics {
  const requests = createCounter(
    'slipway_proxy_requests_total',
    'Manifests and blobs of other registries that were served, by whether they were here.',
  )
  const received = createCounter('slipway_proxy_received_bytes_total', 'Bytes of them that were fetched.')
  return {
    served: (kind, isHit) => requests.add({ kind, result: isHit ? 'hit' : 'miss' }),
    received: bytes => received.add({}, bytes),
    collect: () => [requests.collect(), received.collect()],
  }
}
