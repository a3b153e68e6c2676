import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { Access, Grant } from '../../../../src/registry/access.ts'
import { binary, isError, openRegistry, pushBlob } from '../client.ts'

describe('uploads', async () => {
  const registry = await openRegistry()
  const { http, disk } = registry
  const octets = 'application/octet-stream'

  async function begin(name = 'app'): Promise<string> {
    const response = await http.post(`/v2/${name}/blobs/uploads/`).expect(202)
    return response.headers.location ?? ''
  }

  function patch(location: string, bytes: string, contentRange?: string) {
    const request = http.patch(location).type(octets)
    return (contentRange === undefined ? request : request.set('Content-Range', contentRange)).send(
      Buffer.from(bytes),
    )
  }

  it('end-4a: POST begins an upload, whose place is relative', async () => {
    const response = await http.post('/v2/app/blobs/uploads/').expect(202).expect('Range', '0-0')
    const { location } = response.headers
    assert.match(location ?? '', /^\/v2\/app\/blobs\/uploads\/[A-Za-z0-9-]+$/)
    assert.ok(location?.endsWith(response.headers['docker-upload-uuid'] ?? '-'))
    assert.equal(response.headers['content-length'], '0')
  })

  it('end-4a, end-6: PUT with all the bytes makes the blob', async () => {
    const digest = digestOf('whole')
    const response = await http
      .put(`${await begin()}?digest=${digest}`)
      .type(octets)
      .send(Buffer.from('whole'))
      .expect(201)
    assert.equal(response.headers.location, `/v2/app/blobs/${digest}`)
    assert.equal(response.headers['docker-content-digest'], digest)
    const got = await http.get(response.headers.location).buffer(true).parse(binary).expect(200)
    assert.equal(got.body.toString(), 'whole')
  })

  it('end-4b: POST with a digest takes the blob at once', async () => {
    const digest = await pushBlob(registry, 'app', 'at once')
    await http.head(`/v2/app/blobs/${digest}`).expect(200)
  })

  it('end-4b: POST with the wrong digest stores nothing', async () => {
    const digest = digestOf('right')
    await http
      .post(`/v2/app/blobs/uploads/?digest=${digest}`)
      .type(octets)
      .send(Buffer.from('wrong'))
      .expect(400)
      .expect(isError('DIGEST_INVALID'))
    await http.head(`/v2/app/blobs/${digest}`).expect(404)
    await http.post('/v2/app/blobs/uploads/?digest=sha256:x').expect(400).expect(isError('DIGEST_INVALID'))
  })

  it('end-4c: POST takes the names of algorithms that it knows', async () => {
    for (const algorithm of ['sha256', 'sha512'])
      await http.post(`/v2/app/blobs/uploads/?digest-algorithm=${algorithm}`).expect(202)
    await http
      .post('/v2/app/blobs/uploads/?digest-algorithm=md5')
      .expect(400)
      .expect(isError('DIGEST_INVALID'))
  })

  it('end-5, end-6: sha512 works through an upload in parts', async () => {
    const location = await begin()
    await patch(location, 'part').expect(202)
    const digest = digestOf('part', 'sha512')
    await http.put(`${location}?digest=${digest}`).expect(201).expect('Docker-Content-Digest', digest)
    await http.head(`/v2/app/blobs/${digest}`).expect(200)
  })

  for (const form of [(range: string) => range, (range: string) => `bytes ${range}/*`]) {
    it(`end-5: PATCH takes chunks as ${form('0-3')}`, async () => {
      const location = await begin()
      const first = await patch(location, 'abcd', form('0-3')).expect(202).expect('Range', '0-3')
      const second = await patch(first.headers.location ?? '', 'ef', form('4-5')).expect(202)
      assert.equal(second.headers.range, '0-5')
      await http.put(`${location}?digest=${digestOf('abcdef')}`).expect(201)
    })
  }

  it('end-5: PATCH without a type and without a length appends the stream', async () => {
    const location = await begin()
    const url = `http://127.0.0.1:${registry.port}${location}`
    const chunks = async function* () {
      yield Buffer.from('stre')
      yield Buffer.from('am')
    }
    const response = await fetch(url, { method: 'PATCH', body: chunks(), duplex: 'half' } as RequestInit)
    assert.equal(response.status, 202)
    assert.equal(response.headers.get('range'), '0-5')
    await http.put(`${location}?digest=${digestOf('stream')}`).expect(201)
  })

  it('end-5: PATCH ignores types that nobody can read', async () => {
    const location = await begin()
    for (const type of ['bogus', 'application/json', 'text/plain; charset=latin1', ';;;'])
      await http.patch(location).set('Content-Type', type).send('{}').expect(202)
    await http.put(`${location}?digest=${digestOf('{}{}{}{}')}`).expect(201)
  })

  it('end-5: a chunk out of order or sent twice is 416, and changes nothing', async () => {
    const location = await begin()
    await patch(location, 'abcd', '0-3').expect(202)
    for (const range of ['0-3', '2-5', '5-8', '900-903'])
      await patch(location, 'wxyz', range).expect(416).expect(isError('BLOB_UPLOAD_INVALID'))
    await http.get(location).expect(204).expect('Range', '0-3')
    await patch(location, 'ef', '4-5').expect(202)
    await http.put(`${location}?digest=${digestOf('abcdef')}`).expect(201)
  })

  it('end-5: a chunk whose headers contradict each other is refused unread', async () => {
    const location = await begin()
    await patch(location, 'abcd', '0-9').expect(400).expect(isError('SIZE_INVALID'))
    await patch(location, 'abcd', 'nonsense').expect(400).expect(isError('BLOB_UPLOAD_INVALID'))
    await http.get(location).expect(204).expect('Range', '0-0')
    await patch(location, 'a', '0-0').expect(202)
  })

  it('end-5: a stream that is not as long as its range is refused', async () => {
    for (const body of ['abc', 'abcdef']) {
      const location = await begin()
      const response = await fetch(`http://127.0.0.1:${registry.port}${location}`, {
        method: 'PATCH',
        headers: { 'Content-Range': '0-3' },
        body: new Blob([body]).stream(),
        duplex: 'half',
      } as RequestInit)
      assert.equal(response.status, 400)
      assert.equal(
        ((await response.json()) as { errors: { code: string }[] }).errors[0]?.code,
        'SIZE_INVALID',
      )
      await http.get(location).expect(204)
    }
  })

  it('end-6: PUT takes the last chunk with its range', async () => {
    const location = await begin()
    await patch(location, 'abcd').expect(202)
    const put = (range: string) =>
      http
        .put(`${location}?digest=${digestOf('abcdef')}`)
        .type(octets)
        .set('Content-Range', range)
        .send(Buffer.from('ef'))
    await put('3-4').expect(416).expect(isError('BLOB_UPLOAD_INVALID'))
    await put('4-5').expect(201)
  })

  it('end-6: PUT with a digest that does not fit stores nothing and ends the upload', async () => {
    const location = await begin()
    await patch(location, 'bytes').expect(202)
    const digest = digestOf('other bytes')
    await http.put(`${location}?digest=${digest}`).expect(400).expect(isError('DIGEST_INVALID'))
    await http.head(`/v2/app/blobs/${digest}`).expect(404)
    await http.get(location).expect(404).expect(isError('BLOB_UPLOAD_UNKNOWN'))
  })

  it('end-6: PUT without a digest, or with nonsense for one, leaves the upload as it was', async () => {
    const location = await begin()
    await patch(location, 'kept').expect(202)
    await http.put(location).expect(400).expect(isError('DIGEST_INVALID'))
    await http.put(`${location}?digest=latest`).expect(400).expect(isError('DIGEST_INVALID'))
    await http.put(`${location}?digest=${digestOf('kept')}`).expect(201)
  })

  it('end-6: an upload ends once', async () => {
    const location = await begin()
    await patch(location, 'once').expect(202)
    await http.put(`${location}?digest=${digestOf('once')}`).expect(201)
    await http
      .put(`${location}?digest=${digestOf('once')}`)
      .expect(404)
      .expect(isError('BLOB_UPLOAD_UNKNOWN'))
    await patch(location, 'more').expect(404).expect(isError('BLOB_UPLOAD_UNKNOWN'))
  })

  it('end-11: mounts a blob of another repository', async () => {
    const digest = await pushBlob(registry, 'source', 'mounted')
    await http
      .post(`/v2/target/blobs/uploads/?mount=${digest}&from=source`)
      .expect(201)
      .expect('Location', `/v2/target/blobs/${digest}`)
      .expect('Docker-Content-Digest', digest)
    await http.get(`/v2/target/blobs/${digest}`).expect(200)
  })

  it('end-11: begins an upload where there is nothing to mount', async () => {
    const digest = await pushBlob(registry, 'source', 'elsewhere')
    const mount = (query: string) => http.post(`/v2/target/blobs/uploads/?${query}`)
    for (const query of [
      `mount=${digest}&from=empty`,
      `mount=${digestOf('?')}&from=source`,
      `mount=${digestOf('nowhere')}`,
      `mount=${digest}&from=..%2Fetc`,
    ]) {
      const response = await mount(query).expect(202)
      assert.match(response.headers.location ?? '', /^\/v2\/target\/blobs\/uploads\/./)
    }
    await http.head(`/v2/target/blobs/${digest}`).expect(404)
    await mount('mount=sha256:x&from=source').expect(400).expect(isError('DIGEST_INVALID'))
  })

  it('end-11: mounts from anywhere when no source is named', async () => {
    const digest = await pushBlob(registry, 'source', 'somewhere')
    await http
      .post(`/v2/anonymous/blobs/uploads/?mount=${digest}`)
      .expect(201)
      .expect('Location', `/v2/anonymous/blobs/${digest}`)
      .expect('Docker-Content-Digest', digest)
    await http.get(`/v2/anonymous/blobs/${digest}`).expect(200)
  })

  it('end-11: mounts only what the client may pull, and tells others nothing', async () => {
    const grant: Grant = { principal: { kind: 'anonymous' }, may: (_action, name) => name === 'open' }
    const access: Access = { authorize: async () => grant, identify: async () => grant }
    const guarded = await openRegistry({ disk, app: { access } })
    const secret = await pushBlob(registry, 'secret', 'of one team')
    const shared = await pushBlob(registry, 'secret', 'of everyone')
    await pushBlob(registry, 'open', 'of everyone')
    const mount = (query: string) => guarded.http.post(`/v2/mine/blobs/uploads/?${query}`)
    await mount(`mount=${secret}`).expect(202)
    await mount(`mount=${secret}&from=secret`).expect(202)
    await mount(`mount=${shared}&from=secret`).expect(202)
    await guarded.http.head(`/v2/mine/blobs/${secret}`).expect(404)
    await mount(`mount=${shared}`).expect(201)
  })

  it('end-13: GET tells how much has arrived', async () => {
    const location = await begin()
    await patch(location, '12345').expect(202)
    await http.get(location).expect(204).expect('Range', '0-4').expect('Location', location)
  })

  it('end-14: DELETE cancels', async () => {
    const location = await begin()
    await patch(location, 'x').expect(202)
    await http.delete(location).expect(204)
    await http.get(location).expect(404).expect(isError('BLOB_UPLOAD_UNKNOWN'))
    await http.delete(location).expect(404).expect(isError('BLOB_UPLOAD_UNKNOWN'))
  })

  it('keeps uploads to the repository that began them', async () => {
    const location = await begin('mine')
    const elsewhere = location.replace('/mine/', '/other/')
    await patch(elsewhere, 'x').expect(404).expect(isError('BLOB_UPLOAD_UNKNOWN'))
    await http.get(elsewhere).expect(404)
    await http.delete(elsewhere).expect(404)
    await http.get(location).expect(204)
  })

  it('refuses pushes to repositories of images from elsewhere', async () => {
    for (const name of ['docker.io/library/debian', 'localhost/app']) {
      const digest = await pushBlob(registry, 'source', 'denied')
      await http.post(`/v2/${name}/blobs/uploads/`).expect(403).expect(isError('DENIED'))
      await http
        .post(`/v2/${name}/blobs/uploads/?mount=${digest}&from=source`)
        .expect(403)
        .expect(isError('DENIED'))
    }
    // A dot in a name of one part is not a host.
    await http.post('/v2/app.v1/blobs/uploads/').expect(202)
  })

  it('gives back the space of a chunk that the disk did not take whole', async () => {
    const location = await begin()
    await patch(location, 'abc').expect(202)
    disk.room = 300_000
    try {
      await patch(location, 'd'.repeat(1_000_000)).expect(507)
    } finally {
      disk.room = Number.POSITIVE_INFINITY
    }
    registry.faults.splice(0)
    await http.get(location).expect(204).expect('Range', '0-2')
    await http.put(`${location}?digest=${digestOf('abc')}`).expect(201)
  })

  it('answers 507 when the disk is full, keeps what it has, and goes on reading', async () => {
    const digest = await pushBlob(registry, 'app', 'before')
    const location = await begin()
    await patch(location, 'abc').expect(202)
    disk.full = true
    try {
      const response = await patch(location, 'def').expect(507).expect(isError('UNKNOWN'))
      assert.doesNotMatch(response.text, /secret/)
      await http.get(`/v2/app/blobs/${digest}`).expect(200)
    } finally {
      disk.full = false
    }
    assert.equal(registry.faults.splice(0).length, 1)
    await http.get(location).expect(204).expect('Range', '0-2')
  })
})
