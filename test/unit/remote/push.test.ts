import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import type { Tag } from '../../../src/oci/reference.ts'
import { readAll, repositoryAt, scriptedRegistry } from './scripted-registry.ts'

const { signal } = new AbortController()
const small = Buffer.from('small blob')
const large = Buffer.alloc(3_000_000, 'large blob')
const descriptorOf = (bytes: Buffer, mediaType: string = MEDIA_TYPE.ociLayer) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
})

async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65536) yield bytes.subarray(at, at + 65536)
}

test('write() opens an upload and sends the blob to its Location, query and all', async () => {
  for (const blob of [small, large]) {
    let received: Buffer | undefined
    const { host, seen } = await scriptedRegistry(async (request, response) => {
      if (request.method === 'POST')
        return response.writeHead(202, { location: '/elsewhere/1?_state=a%2Bb+c==&x' }).end()
      received = await readAll(request)
      assert.equal(request.headers['content-length'], String(blob.length))
      response.writeHead(201).end()
    })
    await repositoryAt(host).write(descriptorOf(blob), chunks(blob), signal)
    assert.deepEqual(received, blob)
    assert.deepEqual(
      seen.map(({ method, url }) => `${method} ${url}`),
      [
        'POST /v2/team/app/blobs/uploads/',
        `PUT /elsewhere/1?_state=a%2Bb+c==&x&digest=${encodeURIComponent(digestOf(blob))}`,
      ],
    )
  }
})

test('write() mounts a blob where a repository has it', async () => {
  const { host, seen } = await scriptedRegistry((request, response) => {
    if (request.method === 'DELETE') return response.writeHead(204).end()
    const isThere = request.url?.includes('from=base%2Fdebian')
    response.writeHead(isThere ? 201 : 202, { location: '/upload/1' }).end()
  })
  await repositoryAt(host, { mountFrom: ['other', 'base/debian'] }).write(
    descriptorOf(large),
    chunks(large),
    signal,
  )
  assert.deepEqual(
    seen.map(({ method }) => method),
    ['POST', 'POST', 'DELETE'],
  )
})

test('write() uploads where a mount is refused', async () => {
  const { host, seen } = await scriptedRegistry((request, response) => {
    request.resume()
    if (request.url?.includes('mount=')) return response.writeHead(403).end()
    response.writeHead(request.method === 'POST' ? 202 : 201, { location: '/up' }).end()
  })
  const repository = repositoryAt(host, { mountFrom: ['team/app', 'secret'] })
  await repository.write(descriptorOf(small), chunks(small), signal)
  assert.deepEqual(
    seen.map(({ method }) => method),
    ['POST', 'POST', 'PUT'],
  )
})

test('write() uses the upload that a registry opens instead of mounting', async () => {
  const { host, seen } = await scriptedRegistry((request, response) => {
    request.resume()
    response
      .writeHead(request.method === 'POST' ? 202 : 201, { location: `http://${request.headers.host}/up` })
      .end()
  })
  await repositoryAt(host, { mountFrom: ['base'] }).write(descriptorOf(small), chunks(small), signal)
  assert.deepEqual(
    seen.map(({ method }) => method),
    ['POST', 'PUT'],
  )
})

test('write() refuses a source that is shorter, longer, or other than its descriptor', async () => {
  const { host, seen } = await scriptedRegistry((request, response) => {
    request.resume()
    if (request.method === 'POST') response.writeHead(202, { location: '/up' }).end()
    else request.on('end', () => response.writeHead(201).end())
  })
  const repository = repositoryAt(host)
  for (const [want, sent, code] of [
    [small, Buffer.from('smal'), 'size-mismatch'],
    [small, Buffer.from('small blob, and more'), 'size-mismatch'],
    [small, Buffer.from('SMALL BLOB'), 'digest-mismatch'],
    [large, large.subarray(1), 'size-mismatch'],
  ] as const)
    await assert.rejects(repository.write(descriptorOf(want), chunks(sent), signal), { code })
  assert.ok(!seen.some(({ method, url }) => method === 'PUT' && url.includes(digestOf(small))))
})

test('a refusal in the middle of an upload is told, and ends the upload', async () => {
  const endless = { ...descriptorOf(large), size: 10 ** 12 }
  async function* forever(): AsyncGenerator<Buffer> {
    for (;;) yield large
  }
  const { host } = await scriptedRegistry((request, response) => {
    if (request.method === 'POST') return response.writeHead(202, { location: '/up' }).end()
    response.writeHead(413).end('{"errors":[{"code":"SIZE_INVALID","message":"too large"}]}')
  })
  await assert.rejects(repositoryAt(host).write(endless, forever(), signal), {
    name: 'RemoteError',
    message: /SIZE_INVALID|connection broke/,
  })
})

test('a registry that stops taking data ends in an error', async () => {
  const { host } = await scriptedRegistry((request, response) => {
    if (request.method === 'POST') response.writeHead(202, { location: '/up' }).end()
  })
  const descriptor = { ...descriptorOf(large), size: 300_000_000 }
  async function* much(): AsyncGenerator<Buffer> {
    for (let i = 0; i < 100; i++) yield large
  }
  const repository = repositoryAt(host, { timeouts: { connectMs: 1000, idleMs: 100 } })
  await assert.rejects(repository.write(descriptor, much(), signal), { code: 'registry-unreachable' })
})

test('a source that takes its time is not a silent registry', async () => {
  const { host } = await scriptedRegistry(async (request, response) => {
    if (request.method === 'POST') return response.writeHead(202, { location: '/up' }).end()
    await readAll(request)
    response.writeHead(201).end()
  })
  async function* slowly(): AsyncGenerator<Buffer> {
    yield large.subarray(0, 1_500_000)
    await new Promise(resolve => setTimeout(resolve, 120))
    yield large.subarray(1_500_000)
  }
  const repository = repositoryAt(host, { timeouts: { connectMs: 50, idleMs: 50 } })
  await repository.write(descriptorOf(large), slowly(), signal)
})

test('an error of the source is the error of the write', async () => {
  const { host } = await scriptedRegistry((request, response) => {
    request.resume().on('error', () => undefined)
    if (request.method === 'POST') response.writeHead(202, { location: '/up' }).end()
  })
  const broken = new Error('disk on fire')
  async function* failing(): AsyncGenerator<Buffer> {
    yield large.subarray(0, 1000)
    throw broken
  }
  await assert.rejects(repositoryAt(host).write(descriptorOf(large), failing(), signal), broken)
})

test('write() puts manifests by digest, and tag() puts the same bytes again', async () => {
  const manifest = Buffer.from('{"schemaVersion":2}')
  const bodies: string[] = []
  const { host, seen } = await scriptedRegistry(async (request, response) => {
    bodies.push(`${request.headers['content-type']} ${await readAll(request)}`)
    response.writeHead(201).end()
  })
  const repository = repositoryAt(host)
  const descriptor = descriptorOf(manifest, MEDIA_TYPE.ociManifest)
  await repository.write(descriptor, chunks(manifest), signal)
  await repository.tag(descriptor, 'v1' as Tag)
  assert.deepEqual(
    seen.map(({ method, url }) => `${method} ${url}`),
    [`PUT /v2/team/app/manifests/${descriptor.digest}`, 'PUT /v2/team/app/manifests/v1'],
  )
  assert.deepEqual(bodies, Array(2).fill(`${MEDIA_TYPE.ociManifest} {"schemaVersion":2}`))
})

test('has() tells what is there', async () => {
  const { host } = await scriptedRegistry((request, response) =>
    response.writeHead(request.url?.includes(digestOf(small)) ? 200 : 404).end(),
  )
  assert.equal(await repositoryAt(host).has(descriptorOf(small)), true)
  assert.equal(await repositoryAt(host).has(descriptorOf(large)), false)
})

test('a refused manifest is told in the words of the registry', async () => {
  const { host } = await scriptedRegistry((_, response) =>
    response.writeHead(400).end('{"errors":[{"code":"MANIFEST_INVALID","message":"no config"}]}'),
  )
  await assert.rejects(
    repositoryAt(host).write(descriptorOf(small, MEDIA_TYPE.ociManifest), chunks(small), signal),
    { code: 'content-refused', message: /MANIFEST_INVALID: no config/ },
  )
})
