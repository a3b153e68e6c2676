import type { AppExtra } from '../app.ts'
import { type Collector, formatMetrics, METRICS_TYPE } from './metrics.ts'

/** `/metrics`, for Prometheus. It names no repository and no user. */
export function metricsRoute(collectors: readonly Collector[]): AppExtra {
  return app => {
    app.route({
      method: ['GET', 'HEAD'],
      url: '/metrics',
      handler: async (_request, reply) => {
        const metrics = await Promise.all(collectors.map(collect => collect()))
        return reply.header('Content-Type', METRICS_TYPE).send(Buffer.from(formatMetrics(metrics.flat())))
      },
    })
  }
}

export interface Health {
  /** True from the signal to stop on. */
  isStopping(): boolean
  /** Throws when requests could not be answered. */
  checkStore(): void
}

/**
 * `/livez`: the process answers; restart it when this fails. `/readyz` (and `/health`): send it requests; 503 while it
 * stops or cannot use its store.
 */
export function healthRoutes({ isStopping, checkStore }: Health): AppExtra {
  const readiness = (): { status: 'ready' | 'stopping' | 'failing'; store: 'ok' | 'failing' } => {
    const store = isWorking(checkStore) ? 'ok' : 'failing'
    return { status: isStopping() ? 'stopping' : store === 'ok' ? 'ready' : 'failing', store }
  }
  return app => {
    const method = ['GET', 'HEAD']
    const answer = (value: object) => Buffer.from(JSON.stringify(value))
    app.route({
      method,
      url: '/livez',
      handler: async (_request, reply) => reply.type('application/json').send(answer({ status: 'alive' })),
    })
    for (const url of ['/readyz', '/health']) {
      app.route({
        method,
        url,
        handler: async (_request, reply) => {
          const state = readiness()
          return reply
            .code(state.status === 'ready' ? 200 : 503)
            .headers({ 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
            .send(answer(state))
        },
      })
    }
  }
}

/** Whatever is wrong with the store, requests fail of it and log why. */
function isWorking(check: () => void): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}
