import type { RegistryAppDeps } from '../../registry/app.ts'
import { type Collector, gauge, type Metric } from '../../registry/operations/metrics.ts'
import { createRequestMetrics } from '../../registry/operations/request-metrics.ts'
import { healthRoutes, metricsRoute } from '../../registry/operations/routes.ts'
import type { LogForm } from '../config/serve.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { VERSION } from '../version.ts'
import { createRequestLog } from './request-log.ts'

/** The parts of the registry that tell how it does: logs, metrics, health. */
export function wireOperations(
  { store }: Session,
  terminal: Terminal,
  { log, collectors = [] }: { readonly log: LogForm; readonly collectors?: readonly Collector[] },
): Required<Pick<RegistryAppDeps, 'observe' | 'extras'>> {
  const metrics = createRequestMetrics()
  const logged = createRequestLog(terminal, log)
  const health = healthRoutes({
    isStopping: () => terminal.signal.aborted,
    checkStore: () => void store.metadata.listRepositories({ limit: 1 }),
  })
  return {
    observe: {
      monotonicMs: terminal.monotonicMs,
      began: metrics.began,
      ended(request) {
        metrics.ended(request)
        logged?.(request)
      },
    },
    extras: [
      health,
      metricsRoute([processMetrics, metrics.collect, () => storeMetrics(store), ...collectors]),
    ],
  }
}

function storeMetrics({ inventory, disk }: Session['store']): readonly Metric[] {
  const { blobs, bytes } = inventory.totals()
  const uploads = disk.database.one<{ count: number }>('SELECT count(*) AS count FROM uploads')?.count ?? 0
  return [
    gauge('slipway_store_blobs', 'Blobs in the store.', blobs),
    gauge('slipway_store_bytes', 'Bytes of blobs in the store, each counted once.', bytes),
    gauge('slipway_store_uploads', 'Uploads begun and not ended.', uploads),
  ]
}

function processMetrics(): readonly Metric[] {
  const { user, system } = process.cpuUsage()
  const cpu = (user + system) / 1e6
  return [
    {
      ...gauge('slipway_build_info', 'Constant; the version is its label.', 1),
      samples: [{ labels: { version: VERSION }, value: 1 }],
    },
    gauge('process_resident_memory_bytes', 'Memory of the process.', process.memoryUsage.rss()),
    {
      name: 'process_cpu_seconds_total',
      help: 'CPU time of the process.',
      type: 'counter',
      samples: [{ value: cpu }],
    },
  ]
}
