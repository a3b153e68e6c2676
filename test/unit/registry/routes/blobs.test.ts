import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../../src/oci/digest.ts'
import { binary, isError, openRegistry, pushBlob, pushImage } from '../client.ts'

describe('blobs', async () => {
  const registry = await openRegistry()
  const { http } = registry
  const content = Buffer.from('0123456789')
  const digest = await pushBlob(registry, 'team/app', content)
  const path = `/v2/team/app/blobs/${digest}`

  it('end-2: GET gives the bytes', async () => {
    const response = await http.get(path).buffer(true).parse(binary).expect(200)
    assert.deepEqual(response.body, content)
    assert.equal(response.headers['content-type'], 'application/octet-stream')
    assert.equal(response.headers['content-length'], '10')
    assert.equal(response.headers['docker-content-digest'], digest)
    assert.equal(response.headers['accept-ranges'], 'bytes')
    assert.equal(response.headers.etag, `"${digest}"`)
    assert.match(response.headers['cache-control'] ?? '', /immutable/)
  })

  it('end-2: HEAD gives the same headers and no body, without opening the blob', async () => {
    const [get, head] = [await http.get(path), await http.head(path).expect(200)]
    for (const name of ['content-length', 'content-type', 'docker-content-digest', 'etag', 'accept-ranges'])
      assert.equal(head.headers[name], get.headers[name], name)
  })

  it('end-2: keeps the algorithm of the request', async () => {
    const sha512 = await pushBlob(registry, 'team/app', content, 'sha512')
    await http.head(`/v2/team/app/blobs/${sha512}`).expect(200).expect('Docker-Content-Digest', sha512)
  })

  it('end-2: serves the empty blob', async () => {
    const empty = await pushBlob(registry, 'team/app', '')
    const response = await http.get(`/v2/team/app/blobs/${empty}`).buffer(true).parse(binary).expect(200)
    assert.equal(response.headers['content-length'], '0')
    assert.equal(response.body.length, 0)
  })

  it('end-2: answers 404 to what is not here, HEAD without a body', async () => {
    const unknown = digestOf('unknown')
    await http.get(`/v2/team/app/blobs/${unknown}`).expect(404).expect(isError('BLOB_UNKNOWN'))
    const head = await http.head(`/v2/team/app/blobs/${unknown}`).expect(404)
    assert.equal(head.text, undefined)
  })

  it('end-2: hides blobs of other repositories', async () => {
    for (const name of ['other', 'team', 'team/app2'])
      await http.get(`/v2/${name}/blobs/${digest}`).expect(404).expect(isError('BLOB_UNKNOWN'))
  })

  it('end-2: answers 400 to a malformed digest', async () => {
    await http.get('/v2/team/app/blobs/sha256:abc').expect(400).expect(isError('DIGEST_INVALID'))
    await http.head('/v2/team/app/blobs/sha256:abc').expect(400)
  })

  const ranges = [
    ['bytes=0-3', '0123', 'bytes 0-3/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-2', '89', 'bytes 8-9/10'],
    ['bytes=5-500', '56789', 'bytes 5-9/10'],
  ] as const
  for (const [range, want, contentRange] of ranges) {
    it(`end-2: answers Range ${range} with 206`, async () => {
      const response = await http.get(path).set('Range', range).buffer(true).parse(binary).expect(206)
      assert.equal(response.body.toString(), want)
      assert.equal(response.headers['content-range'], contentRange)
      assert.equal(response.headers['content-length'], String(want.length))
    })
  }

  it('end-2: answers 416 with the size to a range beyond the end', async () => {
    await http
      .get(path)
      .set('Range', 'bytes=10-')
      .expect(416)
      .expect('Content-Range', 'bytes */10')
      .expect(isError('SIZE_INVALID'))
  })

  it('end-2: sends the whole where the range is several, or none', async () => {
    for (const range of ['bytes=0-1,4-5', 'bytes=x', 'lines=1-2'])
      await http.get(path).set('Range', range).expect(200).expect('Content-Length', '10')
  })

  it('end-2: HEAD knows no ranges', async () => {
    await http.head(path).set('Range', 'bytes=0-1').expect(200).expect('Content-Length', '10')
  })

  it('end-2: sends the whole when If-Range names other content', async () => {
    await http.get(path).set('Range', 'bytes=0-1').set('If-Range', '"other"').expect(200)
    await http.get(path).set('Range', 'bytes=0-1').set('If-Range', `"${digest}"`).expect(206)
  })

  it('end-2: answers 304 where the client has the content', async () => {
    for (const tags of [`"${digest}"`, `"x", W/"${digest}"`, '*']) {
      await http.get(path).set('If-None-Match', tags).expect(304).expect('ETag', `"${digest}"`)
      await http.head(path).set('If-None-Match', tags).expect(304)
    }
    await http
      .get(path)
      .set('If-None-Match', `"${digestOf('x')}", ${digest}`)
      .expect(200)
    await http.get(`/v2/other/blobs/${digest}`).set('If-None-Match', '*').expect(404)
  })

  it('end-10: DELETE removes the blob from this repository only', async () => {
    const gone = await pushBlob(registry, 'team/app', 'gone')
    await pushBlob(registry, 'other', 'gone')
    await http.delete(`/v2/team/app/blobs/${gone}`).expect(202)
    await http.get(`/v2/team/app/blobs/${gone}`).expect(404)
    await http.delete(`/v2/team/app/blobs/${gone}`).expect(404).expect(isError('BLOB_UNKNOWN'))
    await http.get(`/v2/other/blobs/${gone}`).expect(200)
    await http.delete('/v2/team/app/blobs/sha256:x').expect(400).expect(isError('DIGEST_INVALID'))
  })

  it('end-10: DELETE refuses what an image of the repository needs, and says which', async () => {
    const image = await pushImage(registry, 'in-use', 'v1')
    for (const needed of [image.config, image.layer]) {
      const response = await http
        .delete(`/v2/in-use/blobs/${needed}`)
        .expect(405)
        .expect('Allow', 'GET, HEAD')
        .expect(isError('DENIED'))
      assert.deepEqual(response.body.errors[0].detail, { manifest: image.digest })
    }
    await http.get(`/v2/in-use/blobs/${image.layer}`).expect(200)
    await http.delete(`/v2/in-use/manifests/${image.digest}`).expect(202)
    await http.delete(`/v2/in-use/blobs/${image.layer}`).expect(202)
  })

  it('answers 404, not 500, when the content of a link is gone', async () => {
    const lost = await pushBlob(registry, 'team/app', 'lost')
    registry.disk.damage(lost)
    await http.get(`/v2/team/app/blobs/${lost}`).expect(404).expect(isError('BLOB_UNKNOWN'))
  })
})
