import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { collectGarbage } from '../../../../src/store/gc.ts'
import { binary, isError, manifestBytes, pushBlob, pushImage } from '../client.ts'
import { asked, DEBIAN, HOUR_MS, openProxy, openUpstream } from './support.ts'

describe('a name of another registry', async () => {
  it('is pulled through and served from the store from then on, without the upstream', async () => {
    const upstream = await openUpstream()
    const image = await pushImage(upstream, 'library/debian', '12')
    const { http } = await openProxy(upstream)
    const pull = async (): Promise<void> => {
      const manifest = await http.get(`${DEBIAN}/manifests/12`).buffer(true).parse(binary).expect(200)
      assert.deepEqual(manifest.body, image.bytes)
      assert.equal(manifest.headers['content-type'], MEDIA_TYPE.ociManifest)
      assert.equal(manifest.headers['docker-content-digest'], image.digest)
      const layer = await http.get(`${DEBIAN}/blobs/${image.layer}`).buffer(true).parse(binary).expect(200)
      assert.equal(layer.body.toString(), 'layer')
      await http.get(`${DEBIAN}/blobs/${image.config}`).expect(200).expect('Content-Length', '14')
    }
    await pull()
    assert.deepEqual(upstream.seen, [
      'GET /v2/library/debian/manifests/12',
      `GET /v2/library/debian/blobs/${image.layer}`,
      `GET /v2/library/debian/blobs/${image.config}`,
    ])
    await upstream.stop()
    await pull()
    await http.get(`${DEBIAN}/manifests/${image.digest}`).expect(200)
    await http.get(`${DEBIAN}/blobs/${image.layer}`).set('Range', 'bytes=1-2').expect(206)
  })

  it('tells whether it was here, and what came from the upstream', async () => {
    const upstream = await openUpstream()
    const image = await pushImage(upstream, 'library/debian', '12')
    const proxy = await openProxy(upstream)
    await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
    await proxy.http.get(`${DEBIAN}/manifests/nothing`).expect(404)
    await proxy.http.get(`${DEBIAN}/blobs/${image.layer}`).expect(200)
    assert.deepEqual(proxy.served.splice(0), ['manifest miss', 'blob miss'])
    assert.equal(proxy.received(), image.bytes.length + 'layer'.length)
    proxy.clock.pass(2 * HOUR_MS)
    await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
    assert.equal(asked(upstream, 'HEAD', 'manifests/12'), 1)
    await proxy.http.get(`${DEBIAN}/blobs/${image.layer}`).expect(200)
    assert.deepEqual(proxy.served.splice(0), ['manifest hit', 'blob hit'])
    assert.equal(proxy.received(), image.bytes.length + 'layer'.length)
    await pushImage(upstream, 'library/debian', '12', { annotations: { a: 'another' } })
    proxy.clock.pass(2 * HOUR_MS)
    await proxy.http.get(`${DEBIAN}/manifests/12`).expect(200)
    assert.deepEqual(proxy.served, ['manifest miss'])
  })

  it('may leave out library/, and index.docker.io is docker.io', async () => {
    const upstream = await openUpstream()
    const image = await pushImage(upstream, 'library/debian', '12')
    const { http } = await openProxy(upstream)
    for (const name of ['docker.io/debian', 'index.docker.io/library/debian'])
      await http.head(`/v2/${name}/manifests/12`).expect(200).expect('Docker-Content-Digest', image.digest)
    const { body } = await http.get('/v2/_catalog').expect(200)
    assert.deepEqual(body.repositories, ['docker.io/library/debian'])
  })

  it('is known by its tag after a client that asked with HEAD and got it by digest', async () => {
    const upstream = await openUpstream()
    const image = await pushImage(upstream, 'library/debian', '12')
    const { http } = await openProxy(upstream)
    await http.head(`${DEBIAN}/manifests/12`).expect(200).expect('Content-Length', `${image.bytes.length}`)
    await http.get(`${DEBIAN}/manifests/${image.digest}`).expect(200)
    assert.equal(asked(upstream, 'GET', 'manifests/12'), 1)
    assert.equal(upstream.seen.length, 1)
    await upstream.stop()
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
  })

  it('stays read-only, with a message that says why', async () => {
    const upstream = await openUpstream()
    await pushImage(upstream, 'library/debian', '12')
    const { http } = await openProxy(upstream)
    for (const path of ['/v2/docker.io/library/debian', '/v2/library/debian'])
      await http
        .post(`${path}/blobs/uploads/?ns=docker.io`)
        .expect(403)
        .expect(isError('DENIED'))
        .expect(/hold images from elsewhere/)
    await http.put(`${DEBIAN}/manifests/12`).type(MEDIA_TYPE.ociManifest).send('{}').expect(403)
    await http.delete(`${DEBIAN}/manifests/12`).expect(403)
  })

  it('of a registry that is not allowed is not asked for', async () => {
    const upstream = await openUpstream()
    const { http } = await openProxy(upstream)
    await http.get('/v2/ghcr.io/a/b/manifests/1').expect(404).expect(isError('MANIFEST_UNKNOWN'))
    await http.get('/v2/a/b/manifests/1?ns=169.254.169.254').expect(404)
    assert.deepEqual(upstream.seen, [])
  })

  it('that the upstream does not have is unknown here, and asked for again only after some seconds', async () => {
    const upstream = await openUpstream()
    const { http, clock } = await openProxy(upstream)
    const unknown = digestOf('unknown')
    for (let time = 0; time < 3; time++) {
      await http.get(`${DEBIAN}/manifests/12`).expect(404).expect(isError('MANIFEST_UNKNOWN'))
      await http.get(`${DEBIAN}/blobs/${unknown}`).expect(404).expect(isError('BLOB_UNKNOWN'))
    }
    assert.equal(upstream.seen.length, 2)
    const image = await pushImage(upstream, 'library/debian', '12')
    clock.pass(11_000)
    await http.get(`${DEBIAN}/manifests/12`).expect(200).expect('Docker-Content-Digest', image.digest)
  })

  it('has an index first, and of its platforms those that somebody asks for; gc and referrers live with the rest', async () => {
    const upstream = await openUpstream()
    const amd = await pushImage(upstream, 'library/debian', 'amd')
    const arm = await pushImage(upstream, 'library/debian', 'arm', { annotations: { for: 'arm' } })
    const children = [amd, arm].map(({ digest, bytes }) => ({
      mediaType: MEDIA_TYPE.ociManifest,
      digest,
      size: bytes.length,
    }))
    const index = manifestBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests: children })
    await upstream.http
      .put('/v2/library/debian/manifests/12')
      .type(MEDIA_TYPE.ociIndex)
      .send(String(index))
      .expect(201)
    const { http, store, clock } = await openProxy(upstream)
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
    await http.get(`${DEBIAN}/manifests/${amd.digest}`).expect(200)
    await http.get(`${DEBIAN}/blobs/${amd.layer}`).expect(200)
    assert.equal(asked(upstream, 'GET', arm.digest), 0)
    clock.pass(48 * HOUR_MS)
    await collectGarbage(store, {
      olderThanMs: HOUR_MS,
      dryRun: false,
      now: clock.now,
      signal: new AbortController().signal,
    })
    await http.get(`${DEBIAN}/referrers/${amd.digest}`).expect(200)
    await http.get(`${DEBIAN}/manifests/${arm.digest}`).expect(200)
    await upstream.stop()
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
    await http.get(`${DEBIAN}/manifests/${amd.digest}`).expect(200)
    await http.get(`${DEBIAN}/blobs/${amd.layer}`).expect(200)
  })

  it('gives no right to content that others pushed here and its manifest only names', async () => {
    const upstream = await openUpstream()
    const proxy = await openProxy(upstream)
    const secret = await pushBlob(proxy, 'team/secret', 'a secret')
    const config = await pushBlob(upstream, 'evil/app', '{}')
    const evil = manifestBytes({
      config: { mediaType: MEDIA_TYPE.ociConfig, digest: config, size: 2 },
      layers: [{ mediaType: MEDIA_TYPE.ociLayer, digest: secret, size: 8 }],
    })
    const { http } = proxy
    upstream.fault = (request, response) => {
      if (!request.url?.includes('/manifests/')) return false
      response.writeHead(200, { 'content-type': MEDIA_TYPE.ociManifest }).end(evil)
      return true
    }
    await http.get('/v2/docker.io/evil/app/manifests/1').expect(200)
    await http.get(`/v2/docker.io/evil/app/blobs/${secret}`).expect(404)
    await http.get(`/v2/team/secret/blobs/${secret}`).expect(200)
  })

  it('shares what another repository brought once its own upstream shows it too, without fetching it again', async () => {
    const upstream = await openUpstream()
    const debian = await pushImage(upstream, 'library/debian', '12')
    await pushImage(upstream, 'library/python', '3')
    const { http } = await openProxy(upstream)
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
    await http.get(`${DEBIAN}/blobs/${debian.layer}`).expect(200)
    await http.get('/v2/docker.io/library/python/manifests/3').expect(200)
    await http.get(`/v2/docker.io/library/python/blobs/${debian.layer}`).expect(200)
    assert.equal(asked(upstream, 'GET', debian.layer), 1)
    assert.equal(asked(upstream, 'HEAD', debian.layer), 1)
  })

  it('lists the tags and referrers of the upstream, and what is cached while that is down', async () => {
    const upstream = await openUpstream()
    const image = await pushImage(upstream, 'library/debian', '12')
    for (const tag of ['11', '13', 'b', 'a']) await pushImage(upstream, 'library/debian', tag)
    const subject = {
      mediaType: MEDIA_TYPE.ociManifest,
      digest: image.digest,
      size: image.bytes.length,
    }
    const signature = await pushImage(upstream, 'library/debian', 'sig', { subject, artifactType: 'a/sig' })
    const { http, log, clock } = await openProxy(upstream)
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
    const { body, headers } = await http.get(`${DEBIAN}/tags/list?n=3`).expect(200)
    assert.deepEqual(body, { name: 'docker.io/library/debian', tags: ['11', '12', '13'] })
    assert.match(headers.link ?? '', /last=13/)
    const rest = await http.get(`${DEBIAN}/tags/list?n=9&last=13`).expect(200)
    assert.deepEqual(rest.body.tags, ['a', 'b', 'sig'])
    const referrers = await http.get(`${DEBIAN}/referrers/${image.digest}`).expect(200)
    assert.deepEqual(
      JSON.parse(String(referrers.text ?? referrers.body)).manifests.map(
        (item: { digest: string }) => item.digest,
      ),
      [signature.digest],
    )
    await upstream.stop()
    clock.pass(HOUR_MS)
    const cached = await http.get(`${DEBIAN}/tags/list`).expect(200)
    assert.deepEqual(cached.body.tags, ['12'])
    await http.get(`${DEBIAN}/referrers/${image.digest}`).expect(200)
    assert.ok(log.some(line => line.includes('what is cached of docker.io is served')))
  })
})

describe('a tag', async () => {
  it('is believed for a while, then asked for with HEAD, and fetched only when it is another image', async () => {
    const upstream = await openUpstream()
    const first = await pushImage(upstream, 'library/debian', '12')
    const { http, clock } = await openProxy(upstream)
    const digest = async () =>
      (await http.head(`${DEBIAN}/manifests/12`).expect(200)).headers['docker-content-digest']
    assert.equal(await digest(), first.digest)
    clock.pass(HOUR_MS - 1)
    assert.equal(await digest(), first.digest)
    assert.equal(upstream.seen.length, 1)
    clock.pass(1)
    assert.equal(await digest(), first.digest)
    assert.deepEqual(upstream.seen.slice(1), ['HEAD /v2/library/debian/manifests/12'])
    assert.equal(await digest(), first.digest)
    assert.equal(upstream.seen.length, 2)
    const second = await pushImage(upstream, 'library/debian', '12', { annotations: { is: 'new' } })
    assert.equal(await digest(), first.digest)
    clock.pass(HOUR_MS)
    assert.equal(await digest(), second.digest)
    assert.deepEqual(upstream.seen.slice(2), [
      'HEAD /v2/library/debian/manifests/12',
      `GET /v2/library/debian/manifests/${second.digest}`,
    ])
  })

  it('that was removed upstream is gone here once it is asked for again', async () => {
    const upstream = await openUpstream()
    await pushImage(upstream, 'library/debian', '12')
    const { http, clock } = await openProxy(upstream)
    await http.get(`${DEBIAN}/manifests/12`).expect(200)
    await upstream.http.delete('/v2/library/debian/manifests/12').expect(202)
    clock.pass(HOUR_MS)
    await http.get(`${DEBIAN}/manifests/12`).expect(404)
  })

  for (const [what, fault] of [
    ['has had enough of us', { status: 429, headers: { 'retry-after': '3600' } }],
    ['fails', { status: 503, headers: {} }],
  ] as const)
    it(`is served as it was while the upstream ${what}, with a line in the log`, async () => {
      const upstream = await openUpstream()
      const image = await pushImage(upstream, 'library/debian', '12')
      const { http, clock, log } = await openProxy(upstream)
      await http.get(`${DEBIAN}/manifests/12`).expect(200)
      clock.pass(HOUR_MS)
      upstream.fault = (_, response) => {
        response.writeHead(fault.status, fault.headers).end()
        return true
      }
      for (let time = 0; time < 3; time++)
        await http.get(`${DEBIAN}/manifests/12`).expect(200).expect('Docker-Content-Digest', image.digest)
      assert.equal(log.length, 1)
      assert.match(log[0] ?? '', /answered (429|503); what is cached of docker\.io is served/)
    })

  it('that was set here is served as it is, whatever the upstream has', async () => {
    const upstream = await openUpstream()
    await pushImage(upstream, 'library/debian', '12')
    const { http, store, clock } = await openProxy(upstream)
    const { body: mine } = await http.get(`${DEBIAN}/manifests/12`).expect(200).buffer(true).parse(binary)
    const name = 'docker.io/library/debian'
    const record = store.metadata.getManifest(name as never, digestOf(mine))
    assert.ok(record)
    store.metadata.putManifest(name as never, record, ['mine' as never])
    upstream.seen.length = 0
    clock.pass(48 * HOUR_MS)
    await http.get(`${DEBIAN}/manifests/mine`).expect(200)
    assert.deepEqual(upstream.seen, [])
  })
})

describe('an upstream that fails, with nothing cached', async () => {
  const cases = [
    ['429', 429, { 'retry-after': '3600' }, 429, 'TOOMANYREQUESTS'],
    ['401', 401, { 'www-authenticate': 'Basic realm="x"' }, 403, 'DENIED'],
    ['403', 403, {}, 403, 'DENIED'],
    ['500', 500, {}, 502, 'UNKNOWN'],
  ] as const
  for (const [name, status, headers, want, code] of cases)
    it(`is told as ${want} for its ${name}, by name, and never as a challenge of ours`, async () => {
      const upstream = await openUpstream()
      await pushImage(upstream, 'library/debian', '12')
      const { http } = await openProxy(upstream)
      upstream.fault = (_, response) => {
        response.writeHead(status, headers).end()
        return true
      }
      const answer = await http.get(`${DEBIAN}/manifests/12`).expect(want).expect(isError(code))
      assert.match(answer.body.errors[0].message, /docker\.io/)
      assert.equal(answer.headers['www-authenticate'], undefined)
      assert.equal(answer.headers['retry-after'], status === 429 ? '3600' : undefined)
    })

  it('is told as 504 when nobody listens, and not asked again at once', async () => {
    const upstream = await openUpstream()
    const { http, clock } = await openProxy(upstream)
    await upstream.stop()
    for (let time = 0; time < 2; time++)
      await http
        .get(`${DEBIAN}/manifests/12`)
        .expect(504)
        .expect(/cannot pull through from docker\.io/i)
    clock.pass(11_000)
    await http.get(`${DEBIAN}/manifests/12`).expect(504)
  })

  it('is refused where a manifest is not what its digest or its header says', async () => {
    const upstream = await openUpstream()
    const image = await pushImage(upstream, 'library/debian', '12')
    const { http, store } = await openProxy(upstream)
    upstream.fault = (_, response) => {
      response
        .writeHead(200, { 'content-type': MEDIA_TYPE.ociManifest, 'docker-content-digest': image.digest })
        .end(manifestBytes({ config: { mediaType: 'a/b', digest: image.config, size: 14 }, layers: [] }))
      return true
    }
    await http
      .get(`${DEBIAN}/manifests/${image.digest}`)
      .expect(502)
      .expect(/Cannot trust/)
    await http.get(`${DEBIAN}/manifests/12`).expect(502)
    assert.deepEqual(store.metadata.listRepositories(), [])
  })

  it('that sends a manifest without end, or none that is one, is refused', async () => {
    const upstream = await openUpstream()
    const { http } = await openProxy(upstream)
    upstream.fault = (request, response) => {
      if (request.url?.endsWith('/page')) response.end('<html>not a registry</html>')
      else {
        response.writeHead(200, { 'content-type': MEDIA_TYPE.ociManifest })
        const more = () => {
          while (response.write(Buffer.alloc(65536))) if (response.destroyed) return
          response.once('drain', more)
        }
        more()
      }
      return true
    }
    await http.get(`${DEBIAN}/manifests/endless`).expect(502)
    await http.get(`${DEBIAN}/manifests/page`).expect(502)
  })
})
