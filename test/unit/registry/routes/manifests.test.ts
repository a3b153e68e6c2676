import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { binary, isError, manifestBytes, openRegistry, prepareImage, pushBlob, pushImage } from '../client.ts'

const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'

describe('manifests', async () => {
  const registry = await openRegistry()
  const { http, disk } = registry
  const image = await pushImage(registry, 'app', 'v1')
  const withNote = (note: string) => {
    const bytes = Buffer.from(
      JSON.stringify({ ...JSON.parse(image.bytes.toString()), annotations: { note } }),
    )
    return { bytes, digest: digestOf(bytes) }
  }

  it('end-3: GET by tag and by digest gives the exact bytes', async () => {
    for (const reference of ['v1', image.digest]) {
      const response = await http.get(`/v2/app/manifests/${reference}`).buffer(true).parse(binary).expect(200)
      assert.deepEqual(response.body, image.bytes)
      assert.equal(response.headers['content-type'], MEDIA_TYPE.ociManifest)
      assert.equal(response.headers['content-length'], String(image.bytes.length))
      assert.equal(response.headers['docker-content-digest'], image.digest)
    }
  })

  it('end-3: GET gives the exact bytes of text in any language, short or long', async () => {
    for (const note of ['größer – 大きい 🚢', '🚢'.repeat(30_000)]) {
      const { bytes, digest } = withNote(note)
      await http
        .put(`/v2/app/manifests/${digest}`)
        .set('Content-Type', MEDIA_TYPE.ociManifest)
        .send(String(bytes))
        .expect(201)
      const response = await http.get(`/v2/app/manifests/${digest}`).buffer(true).parse(binary).expect(200)
      assert.deepEqual(response.body, bytes)
      assert.equal(response.headers['content-type'], MEDIA_TYPE.ociManifest)
    }
  })

  it('end-3: HEAD gives the same headers and no body', async () => {
    await http
      .head('/v2/app/manifests/v1')
      .expect(200)
      .expect('Content-Type', MEDIA_TYPE.ociManifest)
      .expect('Content-Length', String(image.bytes.length))
      .expect('Docker-Content-Digest', image.digest)
  })

  it('end-3: serves what is stored, whatever Accept says', async () => {
    for (const accept of ['text/html', MEDIA_TYPE.dockerManifest, '*/*'])
      await http.get('/v2/app/manifests/v1').set('Accept', accept).expect(200)
  })

  it('end-3: answers 304 where the client has it', async () => {
    for (const reference of ['v1', image.digest]) {
      const path = `/v2/app/manifests/${reference}`
      await http.get(path).set('If-None-Match', `"${image.digest}"`).expect(304)
      await http.head(path).set('If-None-Match', `"${image.digest}"`).expect(304)
      await http
        .get(path)
        .set('If-None-Match', `"${digestOf('x')}"`)
        .expect(200)
    }
  })

  it('end-3: lets caches keep what is named by digest, not what is named by tag', async () => {
    const byTag = await http.get('/v2/app/manifests/v1')
    const byDigest = await http.get(`/v2/app/manifests/${image.digest}`)
    assert.equal(byTag.headers['cache-control'], undefined)
    assert.match(byDigest.headers['cache-control'] ?? '', /immutable/)
  })

  it('end-3: answers 404 to what is not here', async () => {
    for (const reference of ['v2', digestOf('x'), '.INVALID', 'a'.repeat(129)]) {
      await http.get(`/v2/app/manifests/${reference}`).expect(404).expect(isError('MANIFEST_UNKNOWN'))
      await http.head(`/v2/app/manifests/${reference}`).expect(404)
    }
    await http.get(`/v2/other/manifests/${image.digest}`).expect(404).expect(isError('MANIFEST_UNKNOWN'))
    await http.get('/v2/app/manifests/sha256:bad').expect(400).expect(isError('DIGEST_INVALID'))
  })

  it('end-7a: PUT answers with the digest and a place that can be read', async () => {
    const { bytes, digest } = await prepareImage(registry, 'put', { annotations: { a: 'b' } })
    const response = await http
      .put('/v2/put/manifests/latest')
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(201)
      .expect('Docker-Content-Digest', digest)
    assert.equal(response.headers['oci-subject'], undefined)
    await http.get(response.headers.location ?? '').expect(200)
  })

  it('end-7a: PUT moves a tag, and the old manifest stays', async () => {
    const first = await pushImage(registry, 'moving', 'latest')
    const second = await pushImage(registry, 'moving', 'latest', { annotations: { n: '2' } })
    await http.head('/v2/moving/manifests/latest').expect('Docker-Content-Digest', second.digest)
    await http.head(`/v2/moving/manifests/${first.digest}`).expect(200)
  })

  it('end-7a: PUT by digest stores without a tag', async () => {
    const { bytes, digest } = await prepareImage(registry, 'untagged')
    await http
      .put(`/v2/untagged/manifests/${digest}`)
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(201)
    await http.get('/v2/untagged/tags/list').expect(200, { name: 'untagged', tags: [] })
  })

  it('end-7a: PUT by a sha512 digest keeps that algorithm', async () => {
    const { bytes } = await prepareImage(registry, 'sha512')
    const digest = digestOf(bytes, 'sha512')
    const path = `/v2/sha512/manifests/${digest}`
    await http
      .put(`${path}?tag=strong`)
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(201)
      .expect('Docker-Content-Digest', digest)
      .expect('Location', path)
    await http.get(path).expect(200).expect('Docker-Content-Digest', digest)
    await http.head('/v2/sha512/manifests/strong').expect('Docker-Content-Digest', digest)
  })

  it('end-7b: PUT by digest points tags at it', async () => {
    const { bytes, digest } = await prepareImage(registry, 'tags')
    const response = await http
      .put(`/v2/tags/manifests/${digest}?tag=a&tag=b`)
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(201)
    assert.equal(response.headers['oci-tag'], 'a, b')
    await http.get('/v2/tags/tags/list').expect(200, { name: 'tags', tags: ['a', 'b'] })
    await http
      .put(`/v2/tags/manifests/${digest}?tag=c&tag=-bad`)
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(400)
      .expect(isError('MANIFEST_INVALID'))
    await http.head('/v2/tags/manifests/c').expect(404)
  })

  it('end-7: PUT refuses another digest, a bad digest and a bad tag', async () => {
    const put = (reference: string) =>
      http.put(`/v2/app/manifests/${reference}`).type(MEDIA_TYPE.ociManifest).send(String(image.bytes))
    await put(digestOf('x')).expect(400).expect(isError('DIGEST_INVALID'))
    await put('sha256:bad').expect(400).expect(isError('DIGEST_INVALID'))
    await put('-bad').expect(400).expect(isError('MANIFEST_INVALID'))
  })

  it('end-7: PUT names the blobs that this repository lacks', async () => {
    await http
      .put('/v2/lacking/manifests/v1')
      .type(MEDIA_TYPE.ociManifest)
      .send(String(image.bytes))
      .expect(400)
      .expect(isError('MANIFEST_BLOB_UNKNOWN'))
      .expect(response =>
        assert.deepEqual(response.body.errors[0].detail, { digests: [image.config, image.layer] }),
      )
    await http.head('/v2/lacking/manifests/v1').expect(404)
  })

  it('end-7: PUT takes an index whose children are here, and names those that are not', async () => {
    const put = (digest: string) =>
      http
        .put('/v2/app/manifests/index')
        .type(MEDIA_TYPE.ociIndex)
        .send(
          JSON.stringify({
            schemaVersion: 2,
            mediaType: MEDIA_TYPE.ociIndex,
            manifests: [{ mediaType: MEDIA_TYPE.ociManifest, digest, size: image.bytes.length }],
          }),
        )
    await put(image.digest).expect(201)
    await http.get('/v2/app/manifests/index').expect(200).expect('Content-Type', MEDIA_TYPE.ociIndex)
    await put(digestOf('missing')).expect(400).expect(isError('MANIFEST_BLOB_UNKNOWN'))
  })

  it('end-7: PUT does not ask for layers that are not to be distributed', async () => {
    const { config } = image
    const bytes = manifestBytes({
      mediaType: MEDIA_TYPE.dockerManifest,
      config: { mediaType: MEDIA_TYPE.dockerConfig, digest: config, size: 14 },
      layers: [{ mediaType: FOREIGN, digest: digestOf('foreign'), size: 9, urls: ['http://127.0.0.1/x'] }],
    })
    await http
      .put('/v2/app/manifests/foreign')
      .type(MEDIA_TYPE.dockerManifest)
      .send(String(bytes))
      .expect(201)
  })

  it('end-7: PUT takes a subject that is not here, and says that it understood', async () => {
    const subject = { mediaType: MEDIA_TYPE.ociManifest, digest: digestOf('never pushed'), size: 5 }
    const { bytes } = await prepareImage(registry, 'app', { subject })
    await http
      .put('/v2/app/manifests/signature')
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(201)
      .expect('OCI-Subject', subject.digest)
  })

  it('end-7: PUT without a type takes the word of the document', async () => {
    await http.put('/v2/app/manifests/silent').unset('Content-Type').send(image.bytes).expect(201)
    await http.head('/v2/app/manifests/silent').expect('Content-Type', MEDIA_TYPE.ociManifest)
  })

  it('end-7: PUT takes a type with parameters, and serves it without', async () => {
    await http
      .put('/v2/app/manifests/charset')
      .set('Content-Type', `${MEDIA_TYPE.ociManifest}; charset=utf-8`)
      .send(String(image.bytes))
      .expect(201)
    await http.head('/v2/app/manifests/charset').expect('Content-Type', MEDIA_TYPE.ociManifest)
  })

  const refused = [
    ['not JSON', MEDIA_TYPE.ociManifest, 'no'],
    ['nothing', MEDIA_TYPE.ociManifest, ''],
    ['a list', MEDIA_TYPE.ociManifest, '[]'],
    ['a type that the document denies', MEDIA_TYPE.dockerManifest, image.bytes],
    ['a type that is none of ours', 'application/json', image.bytes],
    ['a type that nobody can read', 'bogus', image.bytes],
    ['an unknown type', 'application/vnd.example+json', '{"schemaVersion":2}'],
    ['no config', MEDIA_TYPE.ociManifest, manifestBytes({ layers: [] })],
    ['layers and manifests at once', MEDIA_TYPE.ociIndex, '{"schemaVersion":2,"manifests":[],"layers":[]}'],
    ['nesting without end', MEDIA_TYPE.ociManifest, `{"schemaVersion":${'['.repeat(1e6)}${']'.repeat(1e6)}}`],
  ] as const
  for (const [what, type, body] of refused) {
    it(`end-7: PUT refuses ${what}`, async () => {
      const response = await http
        .put('/v2/app/manifests/bad')
        .set('Content-Type', type)
        .send(String(body))
        .expect(400)
        .expect(isError('MANIFEST_INVALID'))
      assert.ok(response.text.length < 1000)
      await http.head('/v2/app/manifests/bad').expect(404)
    })
  }

  it('end-7: PUT refuses schema 1 with advice', async () => {
    const response = await http
      .put('/v2/app/manifests/old')
      .type('application/vnd.docker.distribution.manifest.v1+prettyjws')
      .send('{"schemaVersion":1,"name":"app","fsLayers":[]}')
      .expect(400)
      .expect(isError('MANIFEST_INVALID'))
    assert.match(response.text, /schema 1 is no longer supported/)
  })

  it('end-7: PUT takes 4 MiB', async () => {
    const empty = manifestBytes({ config: { mediaType: 'a/b', digest: image.config, size: 14 }, layers: [] })
    const bytes = Buffer.concat([empty, Buffer.alloc(4 * 1024 * 1024 - empty.length, ' ')])
    await http.put('/v2/app/manifests/large').type(MEDIA_TYPE.ociManifest).send(String(bytes)).expect(201)
    const got = await http.get('/v2/app/manifests/large').buffer(true).parse(binary).expect(200)
    assert.ok(bytes.equals(got.body))
  })

  it('end-7: PUT answers 413 beyond, told in advance or not', async () => {
    const bytes = Buffer.alloc(4 * 1024 * 1024 + 1, ' ')
    const path = '/v2/app/manifests/larger'
    await http
      .put(path)
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(413)
      .expect(isError('SIZE_INVALID'))
    const response = await fetch(`http://127.0.0.1:${registry.port}${path}`, {
      method: 'PUT',
      body: new Blob([bytes]).stream(),
      duplex: 'half',
    } as RequestInit)
    assert.equal(response.status, 413)
  })

  it('end-9: DELETE of a tag leaves the manifest and its other tags', async () => {
    const { digest } = await pushImage(registry, 'delete', 'a')
    await pushImage(registry, 'delete', 'b')
    await http.delete('/v2/delete/manifests/a').expect(202)
    await http.get('/v2/delete/manifests/a').expect(404)
    await http.get('/v2/delete/manifests/b').expect(200)
    await http.get(`/v2/delete/manifests/${digest}`).expect(200)
    await http.delete('/v2/delete/manifests/a').expect(404).expect(isError('MANIFEST_UNKNOWN'))
    await http.delete('/v2/delete/manifests/.bad').expect(404).expect(isError('MANIFEST_UNKNOWN'))
  })

  it('end-9: DELETE of a manifest takes its tags with it', async () => {
    const { digest } = await pushImage(registry, 'delete-all', 'a')
    await pushImage(registry, 'delete-all', 'b')
    await http.delete(`/v2/delete-all/manifests/${digest}`).expect(202)
    for (const reference of ['a', 'b', digest])
      await http.get(`/v2/delete-all/manifests/${reference}`).expect(404)
    await http.delete(`/v2/delete-all/manifests/${digest}`).expect(404).expect(isError('MANIFEST_UNKNOWN'))
    await http.delete('/v2/delete-all/manifests/sha256:x').expect(400).expect(isError('DIGEST_INVALID'))
  })

  it('lets images from elsewhere be pulled, not pushed or deleted', async () => {
    const name = 'docker.io/library/debian' as never
    const record = disk.store.metadata.getManifest('app' as never, image.digest)
    assert.ok(record !== undefined)
    disk.store.metadata.putManifest(name, record, ['12' as never])
    await http.get('/v2/docker.io/library/debian/manifests/12').expect(200)
    await http.get(`/v2/docker.io/library/debian/blobs/${image.layer}`).expect(200)
    const path = '/v2/docker.io/library/debian/manifests'
    const put = http.put(`${path}/13`).type(MEDIA_TYPE.ociManifest).send(String(image.bytes))
    const denied = await put.expect(403).expect(isError('DENIED'))
    assert.match(denied.text, /docker\.io/)
    await http.delete(`${path}/12`).expect(403).expect(isError('DENIED'))
    await http.delete(`${path}/${image.digest}`).expect(403).expect(isError('DENIED'))
    await http
      .delete(`/v2/docker.io/library/debian/blobs/${image.layer}`)
      .expect(403)
      .expect(isError('DENIED'))
  })

  it('does not serve a damaged manifest', async () => {
    const { digest, bytes } = await pushImage(registry, 'damaged', 'v1', { annotations: { damaged: 'yes' } })
    disk.damage(digest, Buffer.from(bytes.toString().replace('yes', 'no!')))
    await http.get('/v2/damaged/manifests/v1').expect(500).expect(isError('UNKNOWN'))
    assert.equal(registry.faults.splice(0).length, 1)
  })

  it('does not share blobs between repositories by their manifests', async () => {
    await pushBlob(registry, 'private', 'secret layer')
    const bytes = manifestBytes({
      config: { mediaType: MEDIA_TYPE.ociConfig, digest: image.config, size: 14 },
      layers: [{ mediaType: MEDIA_TYPE.ociLayer, digest: digestOf('secret layer'), size: 12 }],
    })
    await http
      .put('/v2/app/manifests/steal')
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(400)
      .expect(isError('MANIFEST_BLOB_UNKNOWN'))
    await http.get(`/v2/app/blobs/${digestOf('secret layer')}`).expect(404)
  })
})
