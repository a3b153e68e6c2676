/**
 * What the public conformance suite asks about blobs, at its levels 1.1 and dev, by each digest algorithm. Level dev adds
 * that uploads can be cancelled and that answers carry `Docker-Content-Digest`.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { type Digest, type DigestAlgorithm, digestOf } from '../../../../src/oci/digest.ts'
import { binary, isError, openRegistry, type TestRegistry } from '../client.ts'

const OCTETS = 'application/octet-stream'
const CHUNK = 1024

interface Pushed {
  readonly status: number
  readonly location: string
  readonly digest: string | undefined
}

type Push = (registry: TestRegistry, bytes: Buffer, digest: Digest) => Promise<Pushed>

/** Every way to push a blob: the clause, what the suite calls it, and how it is done. */
const WAYS: readonly (readonly [clause: string, what: string, push: Push])[] = [
  ['end-4b', 'a single POST', postOnly],
  ['end-4a, end-6', 'POST and PUT', postPut],
  ['end-5, end-6', 'one chunk', (...args) => chunked(...args, { chunk: Number.POSITIVE_INFINITY })],
  ['end-5, end-6', 'several chunks', (...args) => chunked(...args, {})],
  ['end-5, end-6', 'several chunks, the last with the PUT', (...args) => chunked(...args, { putLast: true })],
  [
    'end-5, end-13',
    'chunks with others out of order between',
    (...args) => chunked(...args, { disorder: true }),
  ],
  [
    'end-5, end-6, end-13',
    'chunks with others out of order between, the last with the PUT',
    (...args) => chunked(...args, { disorder: true, putLast: true }),
  ],
  ['end-5, end-6', 'a stream of unknown length', streamed],
]

for (const algorithm of ['sha256', 'sha512'] as const)
  describe(`conformance of blobs by ${algorithm}`, async () => {
    const registry = await openRegistry()
    const { http } = registry
    const fresh = (size = 3 * CHUNK - 5): Blob => blobOf(randomBytes(size), algorithm)

    for (const [clause, what, push] of WAYS) {
      it(`${clause}: ${algorithm} takes a blob by ${what}, gives it back and deletes it`, async () => {
        const blob = fresh()
        const pushed = await push(registry, blob.bytes, blob.digest)
        assert.equal(pushed.status, 201)
        assert.equal(pushed.digest, blob.digest)
        await assertReadable(registry, pushed.location, blob)
        await assertReadable(registry, pathOf(blob), blob)
        await assertDeletes(registry, blob)
      })

      it(`${clause}, code-4: ${algorithm} refuses by ${what} bytes that have another digest`, async () => {
        const { digest, bytes } = fresh()
        const pushed = await push(registry, Buffer.concat([bytes, Buffer.from('oh no')]), digest)
        assert.equal(pushed.status, 400)
        await http.head(`/v2/conformance/repo1/blobs/${digest}`).expect(404)
      })
    }

    for (const [what, text] of [
      ['no bytes', ''],
      ['an empty JSON object', '{}'],
    ] as const)
      for (const [clause, way, push] of WAYS.slice(0, 3))
        it(`${clause}: ${algorithm} takes a blob of ${what} by ${way}`, async () => {
          const blob = blobOf(Buffer.from(text), algorithm)
          assert.equal((await push(registry, blob.bytes, blob.digest)).status, 201)
          await assertReadable(registry, pathOf(blob), blob)
          await assertDeletes(registry, blob)
        })

    it(`end-2: ${algorithm} answers 404 to a blob that was not pushed`, async () => {
      const { digest } = fresh()
      await http.get(`/v2/conformance/repo1/blobs/${digest}`).expect(404).expect(isError('BLOB_UNKNOWN'))
      await http.head(`/v2/conformance/repo1/blobs/${digest}`).expect(404)
      await http.delete(`/v2/conformance/repo1/blobs/${digest}`).expect(404).expect(isError('BLOB_UNKNOWN'))
    })

    it(`end-11: ${algorithm} mounts from another repository, named or not`, async () => {
      for (const from of ['&from=conformance/repo2', '']) {
        const blob = fresh()
        await postOnly(registry, blob.bytes, blob.digest, 'conformance/repo2')
        const { headers } = await http
          .post(`/v2/conformance/repo1/blobs/uploads/?mount=${blob.digest}${from}`)
          .expect(201)
          .expect('Docker-Content-Digest', blob.digest)
        await assertReadable(registry, headers.location ?? '', blob)
        await assertDeletes(registry, blob)
        await assertReadable(registry, pathOf(blob, 'conformance/repo2'), blob)
      }
    })

    it(`end-11: ${algorithm} begins an upload where the other repository lacks the blob`, async () => {
      const { bytes, digest } = fresh()
      const { headers } = await http
        .post(`/v2/conformance/repo1/blobs/uploads/?mount=${digest}&from=conformance/repo2`)
        .expect(202)
      await put(registry, headers.location ?? '', digest)
        .send(bytes)
        .expect(201)
    })

    it(`end-14: ${algorithm} cancels an upload (level dev)`, async () => {
      const location = await begin(registry)
      await http.delete(location).set('Content-Length', '0').expect(204)
      await http.get(location).expect(404).expect(isError('BLOB_UPLOAD_UNKNOWN'))
    })

    it(`end-4c: ${algorithm} is taken as the algorithm of an upload (level dev)`, async () => {
      const { bytes, digest } = fresh()
      const { headers } = await http
        .post(`/v2/conformance/repo1/blobs/uploads/?digest-algorithm=${algorithm}`)
        .expect(202)
      await put(registry, headers.location ?? '', digest)
        .send(bytes)
        .expect(201)
    })

    const ranges = [
      ['bytes=500-1499', 500, 1499],
      ['bytes=500-', 500, 2047],
      ['bytes=-500', 1548, 2047],
      ['bytes=2000-5000', 2000, 2047],
    ] as const
    for (const [range, start, end] of ranges)
      it(`end-2: ${algorithm} answers 206 to ${range} of 2048 bytes`, async () => {
        const blob = fresh(2048)
        await postOnly(registry, blob.bytes, blob.digest)
        const response = await http.get(pathOf(blob)).set('Range', range).buffer(true).parse(binary)
        assert.equal(response.status, 206)
        assert.equal(response.headers['content-range'], `bytes ${start}-${end}/2048`)
        assert.equal(response.headers['content-length'], String(end - start + 1))
        assert.deepEqual(response.body, blob.bytes.subarray(start, end + 1))
      })

    for (const range of ['bytes=500-0', 'bytes=5000-10000'])
      it(`end-2: ${algorithm} answers 416 to ${range} of 2048 bytes`, async () => {
        const blob = fresh(2048)
        await postOnly(registry, blob.bytes, blob.digest)
        const response = await http.get(pathOf(blob)).set('Range', range).expect(416)
        assert.equal(response.headers['content-range'], 'bytes */2048')
      })
  })

interface Blob {
  readonly bytes: Buffer
  readonly digest: Digest
}

function blobOf(bytes: Buffer, algorithm: DigestAlgorithm): Blob {
  return { bytes, digest: digestOf(bytes, algorithm) }
}

function pathOf({ digest }: Blob, name = 'conformance/repo1'): string {
  return `/v2/${name}/blobs/${digest}`
}

async function begin({ http }: TestRegistry): Promise<string> {
  const response = await http.post('/v2/conformance/repo1/blobs/uploads/').set('Content-Length', '0')
  assert.equal(response.status, 202)
  return response.headers.location ?? ''
}

function put({ http }: TestRegistry, location: string, digest: Digest) {
  const url = new URL(location, 'http://registry')
  url.searchParams.set('digest', digest)
  return http.put(url.pathname + url.search).type(OCTETS)
}

async function postOnly(
  { http }: TestRegistry,
  bytes: Buffer,
  digest: Digest,
  name = 'conformance/repo1',
): Promise<Pushed> {
  return pushed(
    await http
      .post(`/v2/${name}/blobs/uploads/?digest=${digest}`)
      .type(OCTETS)
      .set('Content-Length', String(bytes.length))
      .send(bytes),
  )
}

async function postPut(registry: TestRegistry, bytes: Buffer, digest: Digest): Promise<Pushed> {
  const location = await begin(registry)
  return pushed(await put(registry, location, digest).set('Content-Length', String(bytes.length)).send(bytes))
}

async function chunked(
  registry: TestRegistry,
  bytes: Buffer,
  digest: Digest,
  how: { readonly chunk?: number; readonly putLast?: boolean; readonly disorder?: boolean },
): Promise<Pushed> {
  const { http } = registry
  const size = Math.max(Math.min(how.chunk ?? CHUNK, bytes.length), 1)
  const send = (location: string, start: number) => {
    const part = bytes.subarray(start, start + size)
    const isLast = start + size >= bytes.length
    const request =
      how.putLast && isLast ? put(registry, location, digest) : http.patch(location).type(OCTETS)
    return request.set('Content-Range', `${start}-${start + part.length - 1}`).send(part)
  }

  let location = await begin(registry)
  for (let start = 0; start < bytes.length; start += size) {
    if (how.disorder) {
      const wrong = start + size < bytes.length ? start + size : 0
      await send(location, wrong).expect(416)
      const status = await http
        .get(location)
        .expect(204)
        .expect('Range', `0-${Math.max(start - 1, 0)}`)
      location = status.headers.location ?? ''
    }
    const answer = await send(location, start)
    if (how.putLast && start + size >= bytes.length) return pushed(answer)
    assert.equal(answer.status, 202)
    assert.equal(answer.headers.range, `0-${Math.min(start + size, bytes.length) - 1}`)
    location = answer.headers.location ?? ''
  }
  return pushed(await put(registry, location, digest).set('Content-Length', '0'))
}

async function streamed(registry: TestRegistry, bytes: Buffer, digest: Digest): Promise<Pushed> {
  const location = await begin(registry)
  const request = registry.http.patch(location).type(OCTETS).set('Transfer-Encoding', 'chunked')
  for (let start = 0; start < bytes.length; start += 500) request.write(bytes.subarray(start, start + 500))
  const { headers } = await request.expect(202)
  return pushed(await put(registry, headers.location ?? '', digest).set('Content-Length', '0'))
}

function pushed({ status, headers }: { status: number; headers: Record<string, string> }): Pushed {
  return { status, location: headers.location ?? '', digest: headers['docker-content-digest'] }
}

async function assertReadable({ http }: TestRegistry, path: string, { bytes, digest }: Blob): Promise<void> {
  for (const method of ['head', 'get'] as const) {
    const response = await http[method](path).buffer(true).parse(binary)
    assert.equal(response.status, 200)
    assert.equal(response.headers['content-length'], String(bytes.length))
    assert.equal(response.headers['docker-content-digest'], digest)
    if (method === 'get') assert.deepEqual(response.body, bytes)
  }
}

async function assertDeletes({ http }: TestRegistry, blob: Blob): Promise<void> {
  await http.delete(pathOf(blob)).expect(202)
  await http.head(pathOf(blob)).expect(404)
  await http.delete(pathOf(blob)).expect(404)
}
