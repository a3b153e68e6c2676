import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request, type ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { noise } from '../../store/support.ts'
import { isError, manifestBytes, pushBlob } from '../client.ts'
import { asked, DEBIAN, openProxy, openUpstream, type TestProxy, type TestUpstream } from './support.ts'

const MIB = 1024 * 1024
const LAYER = noise(3 * MIB)
const LAYER_DIGEST = digestOf(LAYER)

/** An upstream with one large layer, sent in the pace and shape that the test wants. */
async function openLayered(name = 'library/debian'): Promise<TestUpstream> {
  const upstream = await openUpstream()
  await pushLayered(upstream, name)
  return upstream
}

async function pushLayered(upstream: TestUpstream, name: string): Promise<void> {
  const config = await pushBlob(upstream, name, '{}')
  await pushBlob(upstream, name, LAYER)
  const manifest = manifestBytes({
    config: { mediaType: MEDIA_TYPE.ociConfig, digest: config, size: 2 },
    layers: [{ mediaType: MEDIA_TYPE.ociLayer, digest: LAYER_DIGEST, size: LAYER.length }],
  })
  await upstream.http
    .put(`/v2/${name}/manifests/12`)
    .type(MEDIA_TYPE.ociManifest)
    .send(String(manifest))
    .expect(201)
}

/** Holds answers for the layer back until the test sends them. */
function holdLayer(upstream: TestUpstream): ServerResponse[] {
  const held: ServerResponse[] = []
  upstream.fault = (asking, response) => {
    if (asking.method !== 'GET' || !asking.url?.includes(LAYER_DIGEST)) return false
    held.push(response)
    return true
  }
  return held
}

function get(proxy: TestProxy, path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request({ host: '127.0.0.1', port: proxy.port, path, headers, agent: false }, resolve)
    .on('error', reject)
    .end()
  return promise
}

const layerPath = (digest: Digest = LAYER_DIGEST) => `${DEBIAN}/blobs/${digest}`

interface Received {
  readonly bytes: Buffer
  /** False for a connection that was cut, and for an error. */
  readonly isWhole: boolean
}

async function receive(message: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = []
  message.on('error', () => undefined)
  message.on('data', chunk => chunks.push(chunk))
  message.resume()
  await new Promise(resolve => message.once('close', resolve))
  return { bytes: Buffer.concat(chunks), isWhole: message.complete && Number(message.statusCode) < 300 }
}

async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await check()) return
    await delay(10)
  }
  assert.fail('it did not happen')
}

describe('a blob on its way', async () => {
  it('is fetched once for twenty clients at once, and for those that come later', async () => {
    const upstream = await openLayered()
    const proxy = await openProxy(upstream)
    const held = holdLayer(upstream)
    const all = Array.from({ length: 20 }, async () => {
      await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
      return receive(await get(proxy, layerPath()))
    })
    await eventually(() => held.length > 0)
    held[0]?.writeHead(200, { 'content-length': LAYER.length }).write(LAYER.subarray(0, MIB))
    await delay(50)
    held[0]?.end(LAYER.subarray(MIB))
    for (const { bytes, isWhole } of await Promise.all(all)) {
      assert.ok(isWhole)
      assert.ok(bytes.equals(LAYER))
    }
    assert.ok((await receive(await get(proxy, layerPath()))).bytes.equals(LAYER))
    assert.equal(asked(upstream, 'GET', LAYER_DIGEST), 1)
    assert.equal(asked(upstream, 'GET', 'manifests/12'), 1)
    assert.deepEqual(proxy.faults, [])
  })

  it('is streamed while it is stored, and visible to others of the store only when it is whole', async () => {
    const upstream = await openLayered()
    const proxy = await openProxy(upstream)
    const held = holdLayer(upstream)
    await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
    const asking = get(proxy, layerPath())
    await eventually(() => held.length === 1)
    held[0]?.writeHead(200, { 'content-length': LAYER.length }).write(LAYER.subarray(0, 2 * MIB))
    const message = await asking
    assert.equal(message.headers['content-length'], String(LAYER.length))
    let got = 0
    message.on('data', chunk => {
      got += chunk.length
    })
    await eventually(() => got >= MIB)
    assert.equal(await proxy.store.content.stat(LAYER_DIGEST), undefined)
    held[0]?.end(LAYER.subarray(2 * MIB))
    await once(message, 'end')
    assert.equal(got, LAYER.length)
    assert.equal((await proxy.store.content.stat(LAYER_DIGEST))?.size, LAYER.length)
  })

  it('goes on without a client that leaves or does not read, and the others get all', async () => {
    const upstream = await openLayered()
    const proxy = await openProxy(upstream)
    const held = holdLayer(upstream)
    await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
    const [leaving, slow, reading] = [
      get(proxy, layerPath()),
      get(proxy, layerPath()),
      get(proxy, layerPath()),
    ]
    await eventually(() => held.length === 1)
    held[0]?.writeHead(200, { 'content-length': LAYER.length }).write(LAYER.subarray(0, MIB))
    ;(await leaving).destroy()
    ;(await slow).pause()
    held[0]?.end(LAYER.subarray(MIB))
    assert.ok((await receive(await reading)).bytes.equals(LAYER))
    assert.ok((await receive(await slow)).bytes.equals(LAYER))
  })

  it('is given up some seconds after the last client left, and fetched anew for the next', async t => {
    const upstream = await openLayered()
    const proxy = await openProxy(upstream)
    const held = holdLayer(upstream)
    await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
    const asking = get(proxy, layerPath())
    await eventually(() => held.length === 1)
    held[0]?.writeHead(200, { 'content-length': LAYER.length }).write(LAYER.subarray(0, MIB))
    const message = await asking
    t.mock.timers.enable({ apis: ['setTimeout'] })
    message.destroy()
    let isClosed = false
    held[0]?.once('close', () => {
      isClosed = true
    })
    for (let turn = 0; turn < 1000 && !isClosed; turn++) {
      t.mock.timers.tick(1000)
      await new Promise(resolve => setImmediate(resolve))
    }
    t.mock.timers.reset()
    assert.ok(isClosed, 'the connection to the upstream is closed')
    upstream.fault = undefined
    assert.ok((await receive(await get(proxy, layerPath()))).bytes.equals(LAYER))
  })

  it('answers ranges from what is there', async () => {
    const upstream = await openLayered()
    const proxy = await openProxy(upstream)
    const held = holdLayer(upstream)
    await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
    const whole = get(proxy, layerPath())
    await eventually(() => held.length === 1)
    held[0]?.writeHead(200, { 'content-length': LAYER.length }).write(LAYER.subarray(0, 2 * MIB))
    const rest = await get(proxy, layerPath(), { range: `bytes=${MIB}-` })
    assert.equal(rest.statusCode, 206)
    assert.equal(rest.headers['content-range'], `bytes ${MIB}-${LAYER.length - 1}/${LAYER.length}`)
    const middle = await get(proxy, layerPath(), { range: 'bytes=10-19' })
    assert.equal(middle.headers['content-length'], '10')
    held[0]?.end(LAYER.subarray(2 * MIB))
    assert.ok((await receive(rest)).bytes.equals(LAYER.subarray(MIB)))
    assert.ok((await receive(middle)).bytes.equals(LAYER.subarray(10, 20)))
    assert.ok((await receive(await whole)).bytes.equals(LAYER))
    assert.equal(held.length, 1)
  })

  it('is one download for two repositories, the second of which must have it too', async () => {
    const upstream = await openLayered()
    await pushLayered(upstream, 'library/python')
    const proxy = await openProxy(upstream)
    const held = holdLayer(upstream)
    await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
    await proxy.http.get('/v2/docker.io/library/python/manifests/12').expect(200)
    const first = get(proxy, layerPath())
    await eventually(() => held.length === 1)
    held[0]?.writeHead(200, { 'content-length': LAYER.length }).write(LAYER.subarray(0, MIB))
    await first
    const second = await get(proxy, `/v2/docker.io/library/python/blobs/${LAYER_DIGEST}`)
    const stranger = await get(proxy, `/v2/docker.io/library/ruby/blobs/${LAYER_DIGEST}`)
    assert.equal(stranger.statusCode, 404)
    stranger.resume()
    held[0]?.end(LAYER.subarray(MIB))
    assert.ok((await receive(second)).bytes.equals(LAYER))
    assert.ok((await receive(await first)).bytes.equals(LAYER))
    assert.equal(held.length, 1)
    await upstream.stop()
    assert.ok(
      (await receive(await get(proxy, `/v2/docker.io/library/python/blobs/${LAYER_DIGEST}`))).bytes.equals(
        LAYER,
      ),
    )
  })

  it('is one download for two processes over one store', async () => {
    const upstream = await openLayered()
    const one = await openProxy(upstream)
    const two = await openProxy(upstream, { root: one.store.root })
    const held = holdLayer(upstream)
    await one.http.get(`${DEBIAN}/manifests/12`).expect(200)
    const first = get(one, layerPath())
    await eventually(() => held.length === 1)
    held[0]?.writeHead(200, { 'content-length': LAYER.length }).write(LAYER.subarray(0, MIB))
    await first
    const second = await get(two, layerPath())
    held[0]?.end(LAYER.subarray(MIB))
    assert.ok((await receive(await first)).bytes.equals(LAYER))
    const followed = await receive(second)
    assert.ok(followed.isWhole)
    assert.ok(followed.bytes.equals(LAYER))
    assert.equal(asked(upstream, 'GET', LAYER_DIGEST), 1)
  })
})

describe('an upstream that lies about a blob', async () => {
  const wrong = Buffer.from(LAYER)
  wrong[wrong.length - 1] = (wrong.at(-1) ?? 0) ^ 1
  const cases: readonly (readonly [
    string,
    (response: ServerResponse) => void,
    { readonly idleMs: number }?,
  ])[] = [
    ['with other bytes', response => response.writeHead(200, { 'content-length': wrong.length }).end(wrong)],
    ['with too few', response => response.writeHead(200).end(LAYER.subarray(0, 2 * MIB))],
    [
      'with bytes without end',
      response => {
        response.writeHead(200)
        const more = () => {
          while (response.write(LAYER.subarray(0, MIB))) if (response.destroyed) return
          response.once('drain', more)
        }
        more()
      },
    ],
    [
      'and breaks every connection',
      response =>
        response
          .writeHead(200, { 'content-length': LAYER.length })
          .write(LAYER.subarray(0, 100_000), () => response.destroy()),
    ],
    [
      'and falls silent',
      response =>
        response.writeHead(200, { 'content-length': LAYER.length }).write(LAYER.subarray(0, 600_000)),
      { idleMs: 200 },
    ],
  ]
  // A busy machine may be silent too, so only silence is waited for with little patience.
  for (const [how, lie, timeouts] of cases)
    it(`${how} gets our client a cut connection, never a clean end, and nothing into the store`, async () => {
      const upstream = await openLayered()
      const proxy = await openProxy(upstream, timeouts ?? { idleMs: 60_000 })
      await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
      upstream.fault = (asking, response) => {
        if (asking.method !== 'GET' || !asking.url?.includes(LAYER_DIGEST)) return false
        lie(response)
        return true
      }
      const answers = await Promise.all([
        get(proxy, layerPath()).then(receive),
        get(proxy, layerPath(), { range: 'bytes=0-99' }).then(receive),
      ])
      for (const { isWhole, bytes } of answers) {
        assert.ok(!isWhole, `${bytes.length} bytes came to a clean end`)
        assert.ok(bytes.length < LAYER.length)
      }
      assert.equal(await proxy.store.content.stat(LAYER_DIGEST), undefined)
      assert.ok(proxy.faults.length > 0)
      upstream.fault = undefined
      assert.ok((await receive(await get(proxy, layerPath()))).bytes.equals(LAYER))
    })

  it('in its length is told before anything is sent', async () => {
    const upstream = await openLayered()
    const { http, faults } = await openProxy(upstream)
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
    upstream.fault = (asking, response) => {
      if (!asking.url?.includes(LAYER_DIGEST)) return false
      response.writeHead(200, { 'content-length': 5 }).end('short')
      return true
    }
    await http.get(layerPath()).expect(502).expect(isError('UNKNOWN'))
    assert.equal(faults.length, 1)
  })

  it('and names one that it does not have is told as BLOB_UNKNOWN', async () => {
    const upstream = await openLayered()
    const { http } = await openProxy(upstream)
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
    upstream.fault = (asking, response) => {
      if (!asking.url?.includes(LAYER_DIGEST)) return false
      response.writeHead(404).end()
      return true
    }
    await http.get(layerPath()).expect(404).expect(isError('BLOB_UNKNOWN'))
  })

  it('and points at an address that only we can reach is not followed there', async () => {
    const upstream = await openLayered()
    const { http } = await openProxy(upstream)
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
    upstream.fault = (asking, response) => {
      if (!asking.url?.includes(LAYER_DIGEST)) return false
      response.writeHead(307, { location: 'file:///etc/passwd' }).end()
      return true
    }
    await http.get(layerPath()).expect(502)
  })
})
