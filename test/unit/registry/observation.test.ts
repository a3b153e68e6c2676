import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, request } from 'node:http'
import { describe, it } from 'node:test'
import type { ContentEvent } from '../../../src/registry/events/observed-store.ts'
import type { ObservedRequest } from '../../../src/registry/observation.ts'
import { openRegistry, prepareImage, pushBlob, pushImage } from './client.ts'

const MIB = 1024 * 1024

/** Each reading of its clock is one millisecond later. */
async function openObserved() {
  const ended: ObservedRequest[] = []
  const waiting: (() => void)[] = []
  let clock = 0
  let began = 0
  const observe = {
    monotonicMs: () => ++clock,
    began: () => void began++,
    ended(observed: ObservedRequest) {
      ended.push(observed)
      for (const resume of waiting.splice(0)) resume()
    },
  }
  const registry = await openRegistry({ app: { observe } })
  const next = async (count: number): Promise<readonly ObservedRequest[]> => {
    while (ended.length < count) await new Promise<void>(resolve => waiting.push(resolve))
    assert.equal(began, count)
    return ended
  }
  return { registry, next }
}

describe('the observer of requests', () => {
  it('is told how long a manifest was that a client got, and that a client asked about only', async () => {
    const { registry, next } = await openObserved()
    const { bytes } = await pushImage(registry, 'app', 'v1')
    await next(3)
    await registry.http.get('/v2/app/manifests/v1').expect(200)
    await registry.http.head('/v2/app/manifests/v1').expect(200)
    const [pull, head] = (await next(5)).slice(3)
    assert.equal(pull?.bytesOut, bytes.length)
    assert.equal(head?.bytesOut, 0)
  })

  it('is told of each request once, with what it was and how much went which way', async () => {
    const { registry, next } = await openObserved()
    const digest = await pushBlob(registry, 'team/app', 'hello')
    const pulled = await registry.http
      .get(`/v2/team/app/blobs/${digest}`)
      .set('User-Agent', 'test/1')
      .expect(200)
    await registry.http.head(`/v2/team/app/blobs/${digest}`).expect(200)
    const [push, pull, head] = await next(3)
    assert.equal(push?.route, 'uploads')
    assert.equal(push?.status, 201)
    assert.equal(push?.bytesIn, 5)
    assert.equal(push?.bytesOut, 0)
    assert.deepEqual(push?.principal, { kind: 'anonymous' })
    assert.deepEqual(pull?.target, { kind: 'blob', name: 'team/app', digest })
    assert.equal(pull?.bytesOut, 5)
    assert.equal(pull?.tookMs, 1)
    assert.equal(pull?.userAgent, 'test/1')
    assert.equal(pull?.isComplete, true)
    assert.equal(pull?.id, pulled.headers['x-request-id'])
    assert.equal(head?.method, 'HEAD')
    assert.equal(head?.bytesOut, 0)
  })

  it('is told of requests for nothing, and of those that Fastify itself refuses', async () => {
    const { registry, next } = await openObserved()
    await registry.http.get('/elsewhere').expect(404)
    await registry.http.get('/v2/%zz').expect(400)
    await registry.http.get('/v2/UPPER/tags/list').expect(400)
    const [elsewhere, bad, upper] = await next(3)
    assert.equal(elsewhere?.route, 'unknown')
    assert.equal(elsewhere?.status, 404)
    assert.equal(bad?.status, 400)
    assert.equal(upper?.route, '/v2/*')
    assert.equal(upper?.target, undefined)
  })

  it('is told of a client that went away before its answer', async () => {
    const { registry, next } = await openObserved()
    const size = 32 * MIB
    const digest = await pushBlob(registry, 'app', Buffer.alloc(size))
    const asked = get({
      host: '127.0.0.1',
      port: registry.port,
      path: `/v2/app/blobs/${digest}`,
      agent: false,
    })
    const [response] = await once(asked, 'response')
    let received = 0
    response.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received >= MIB) response.destroy()
    })
    const [, pull] = await next(2)
    assert.equal(pull?.isComplete, false)
    assert.equal(pull?.status, 200)
    const { bytesOut = 0 } = pull ?? {}
    assert.ok(bytesOut >= MIB && bytesOut < size, `${bytesOut}`)
  })

  it('counts a body that came in pieces without a length', async () => {
    const { registry, next } = await openObserved()
    const begun = await registry.http.post('/v2/app/blobs/uploads/').expect(202)
    const path = String(begun.headers.location)
    const patch = request({ host: '127.0.0.1', port: registry.port, path, method: 'PATCH', agent: false })
    patch.write('four')
    patch.end('five5')
    const [response] = await once(patch, 'response')
    response.resume()
    const [, observed] = await next(2)
    assert.equal(observed?.route, 'upload')
    assert.equal(observed?.bytesIn, 9)
  })
})

describe('the listener to content', () => {
  async function openListening() {
    const events: (ContentEvent & { who: string })[] = []
    const registry = await openRegistry({
      app: { listen: (event, by) => events.push({ ...event, who: by.principal.kind }) },
    })
    return { registry, events }
  }

  it('is told of a push, a pull and a delete, by tag and by digest', async () => {
    const { registry, events } = await openListening()
    const { digest, bytes } = await pushImage(registry, 'app', '1.0')
    const size = bytes.length
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    await registry.http.head('/v2/app/manifests/1.0').expect(200)
    await registry.http.get('/v2/app/manifests/1.0').expect(200)
    await registry.http.get(`/v2/app/manifests/${digest}`).expect(200)
    await registry.http.delete('/v2/app/manifests/1.0').expect(202)
    await registry.http.delete(`/v2/app/manifests/${digest}`).expect(202)
    const event = { repository: 'app', digest, mediaType, size, who: 'anonymous' }
    assert.deepEqual(events, [
      { kind: 'push', tag: '1.0', ...event },
      { kind: 'pull', tag: '1.0', ...event },
      { kind: 'pull', ...event },
      { kind: 'delete', tag: '1.0', ...event },
      { kind: 'delete', ...event },
    ])
  })

  it('is told of each tag of a push, and of nothing that failed', async () => {
    const { registry, events } = await openListening()
    const { bytes, digest } = await prepareImage(registry, 'app')
    await registry.http.put('/v2/app/manifests/no').send('{}').expect(400)
    await registry.http.get('/v2/app/manifests/no').expect(404)
    await registry.http.delete('/v2/app/manifests/no').expect(404)
    await registry.http
      .put(`/v2/app/manifests/${digest}?tag=a&tag=b`)
      .type('application/vnd.oci.image.manifest.v1+json')
      .send(String(bytes))
      .expect(201)
    assert.deepEqual(
      events.map(({ kind, tag }) => [kind, tag]),
      [
        ['push', 'a'],
        ['push', 'b'],
      ],
    )
  })
})
