import { type Collector, createCounter } from '../../registry/operations/metrics.ts'

/** What garbage collection in this process did. */
export interface CollectionMetrics {
  collected(bytes: number): void
  failed(): void
  readonly collect: Collector
}

export function createCollectionMetrics(): CollectionMetrics {
  const runs = createCounter('slipway_gc_runs_total', 'Garbage collections by this process, by their result.')
  const freed = createCounter('slipway_gc_freed_bytes_total', 'Bytes that they deleted.')
  return {
    collected(bytes) {
      runs.add({ result: 'done' })
      freed.add({}, bytes)
    },
    failed: () => runs.add({ result: 'failed' }),
    collect: () => [runs.collect(), freed.collect()],
  }
}
