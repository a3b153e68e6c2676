import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRequestMetrics } from '../../../../src/registry/operations/request-metrics.ts'
import { healthRoutes, metricsRoute } from '../../../../src/registry/operations/routes.ts'
import { openRegistry, pushBlob } from '../client.ts'

describe('/metrics', () => {
  it('counts requests by method, route and status, and names no repository', async () => {
    const metrics = createRequestMetrics()
    const observe = { monotonicMs: () => 0, ...metrics }
    const registry = await openRegistry({ app: { observe, extras: [metricsRoute([metrics.collect])] } })
    const digest = await pushBlob(registry, 'secret/app', 'hello')
    await registry.http.get(`/v2/secret/app/blobs/${digest}`).expect(200)
    await registry.http.get('/v2/secret/app/manifests/none').expect(404)
    await registry.http.get('/no/such/page').expect(404)
    const { text } = await registry.http
      .get('/metrics')
      .expect(200)
      .expect('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
    await registry.http
      .head('/metrics')
      .expect(200)
      .expect('Content-Type', /^text\/plain/)
    for (const line of [
      'slipway_http_requests_total{method="POST",route="uploads",status="201"} 1',
      'slipway_http_requests_total{method="GET",route="manifest",status="404"} 1',
      'slipway_http_requests_total{method="GET",route="unknown",status="404"} 1',
      'slipway_http_received_bytes_total{route="uploads"} 5',
      'slipway_http_sent_bytes_total{route="blob"} 5',
      'slipway_http_request_duration_seconds_count{method="GET",route="blob"} 1',
      'slipway_http_requests_in_flight 1',
    ])
      assert.ok(text.split('\n').includes(line), `${line}\n${text}`)
    assert.doesNotMatch(text, /secret/)
    assert.doesNotMatch(text, /no\/such/)
  })
})

describe('/livez and /readyz', () => {
  it('tell apart a process that lives and one that can serve', async () => {
    const state = { stopping: false, broken: false }
    const checkStore = () => {
      if (state.broken) throw new Error('the disk is gone')
    }
    const health = healthRoutes({ isStopping: () => state.stopping, checkStore })
    const { http } = await openRegistry({ app: { extras: [health] } })
    await http.get('/livez').expect(200, { status: 'alive' })
    await http.get('/readyz').expect(200, { status: 'ready', store: 'ok' })
    await http.head('/health').expect(200)
    state.broken = true
    await http.get('/readyz').expect(503, { status: 'failing', store: 'failing' })
    await http.get('/livez').expect(200)
    state.broken = false
    state.stopping = true
    await http.get('/health').expect(503, { status: 'stopping', store: 'ok' })
  })
})
