import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { readContent } from '../../../src/oci/graph.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import type { Tag } from '../../../src/oci/reference.ts'
import { readAll, repositoryAt, scriptedRegistry } from './scripted-registry.ts'

const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: { mediaType: MEDIA_TYPE.ociConfig, digest: digestOf('{}'), size: 2 },
    layers: [],
  }),
)
const descriptor = { mediaType: MEDIA_TYPE.ociManifest, digest: digestOf(manifest), size: manifest.length }
const blob = Buffer.alloc(300_000, 'layer')
const layer = { mediaType: MEDIA_TYPE.ociLayer, digest: digestOf(blob), size: blob.length }
const v1 = 'v1' as Tag

function manifestHeaders() {
  return {
    'content-type': descriptor.mediaType,
    'content-length': descriptor.size,
    'docker-content-digest': descriptor.digest,
  }
}

test('resolve() takes the descriptor from the headers of HEAD', async () => {
  const { host, seen } = await scriptedRegistry((_, response) =>
    response.writeHead(200, manifestHeaders()).end(),
  )
  assert.deepEqual(await repositoryAt(host).resolve(v1), descriptor)
  assert.deepEqual(seen, [{ method: 'HEAD', url: '/v2/team/app/manifests/v1', authorization: undefined }])
})

test('resolve() reads the manifest where HEAD tells no digest, or is not allowed', async () => {
  for (const status of [200, 405]) {
    const { host } = await scriptedRegistry((request, response) =>
      request.method === 'HEAD'
        ? response.writeHead(status, { 'content-type': descriptor.mediaType }).end()
        : response.writeHead(200, { 'content-type': `${descriptor.mediaType}; charset=utf-8` }).end(manifest),
    )
    assert.deepEqual(await repositoryAt(host).resolve(v1), descriptor)
  }
})

test('resolve() of an unknown tag is undefined', async () => {
  const { host } = await scriptedRegistry((_, response) => response.writeHead(404).end())
  assert.equal(await repositoryAt(host).resolve(v1), undefined)
})

test('resolve() by digest refuses another digest', async () => {
  const { host } = await scriptedRegistry((_, response) => response.writeHead(200, manifestHeaders()).end())
  await assert.rejects(repositoryAt(host).resolve(digestOf('another')), { code: 'digest-mismatch' })
})

test('open() reads manifests and blobs from their own places', async () => {
  const { host, seen } = await scriptedRegistry((request, response) =>
    response.end(request.url?.includes('/manifests/') ? manifest : blob),
  )
  const repository = repositoryAt(host)
  assert.deepEqual(await readContent(repository, descriptor), manifest)
  assert.deepEqual(await readAll(await repository.open(layer)), blob)
  assert.deepEqual(
    seen.map(({ url }) => url),
    [`/v2/team/app/manifests/${descriptor.digest}`, `/v2/team/app/blobs/${layer.digest}`],
  )
})

test('open() of missing content says so', async () => {
  const { host } = await scriptedRegistry((_, response) => response.writeHead(404).end())
  for (const wanted of [descriptor, layer])
    await assert.rejects(repositoryAt(host).open(wanted), { code: 'content-missing' })
})

test('a manifest that does not end is not read to its end', async () => {
  const { host } = await scriptedRegistry((_, response) => {
    const more = () => {
      while (response.write(Buffer.alloc(65536))) if (response.destroyed) return
      response.once('drain', more)
    }
    more()
  })
  await assert.rejects(repositoryAt(host).open(descriptor), { code: 'response-invalid' })
})

test('open() goes on where the connection broke', async () => {
  const { host, seen } = await scriptedRegistry((request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const end = Math.min(start + 110_000, blob.length)
    response.writeHead(start === 0 ? 200 : 206, {
      'content-length': blob.length - start,
      'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}`,
    })
    response.write(blob.subarray(start, end), () => end < blob.length && response.destroy())
    if (end === blob.length) response.end()
  })
  assert.deepEqual(await readAll(await repositoryAt(host).open(layer)), blob)
  assert.ok(seen.length > 1)
})

test('open() reads over what it has when the registry ignores Range', async () => {
  let requests = 0
  const { host } = await scriptedRegistry((_, response) => {
    response.writeHead(200, { 'content-length': blob.length })
    if (requests++ === 0) response.write(blob.subarray(0, 100_000), () => response.destroy())
    else response.end(blob)
  })
  assert.deepEqual(await readAll(await repositoryAt(host).open(layer)), blob)
})

test('open() refuses a range that was not asked for', async () => {
  let requests = 0
  const { host } = await scriptedRegistry((_, response) => {
    if (requests++ === 0) {
      response.writeHead(200, { 'content-length': blob.length })
      response.write(blob.subarray(0, 100_000), () => response.destroy())
    } else response.writeHead(206, { 'content-range': 'bytes 5-9/300000' }).end('wrong')
  })
  await assert.rejects(readAll(await repositoryAt(host).open(layer)), { code: 'response-invalid' })
})

test('open() gives up on a blob that never gets further', async () => {
  const { host, seen } = await scriptedRegistry((request, response) => {
    response.writeHead(request.headers.range ? 206 : 200, {
      'content-length': blob.length,
      'content-range': 'bytes 1000-299999/300000',
    })
    if (request.headers.range === undefined) response.write(blob.subarray(0, 1000))
    response.flushHeaders()
    setImmediate(() => response.destroy())
  })
  await assert.rejects(readAll(await repositoryAt(host).open(layer)), { code: 'registry-unreachable' })
  assert.ok(seen.length <= 5)
})

test('open() gives up on a registry that breaks every connection after a few bytes', async () => {
  const { host, seen } = await scriptedRegistry((request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(start === 0 ? 200 : 206, {
      'content-length': blob.length - start,
      'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}`,
    })
    response.write(blob.subarray(start, start + 1000), () => response.destroy())
  })
  await assert.rejects(readAll(await repositoryAt(host).open(layer)), { code: 'registry-unreachable' })
  assert.ok(seen.length <= 5, `asked ${seen.length} times`)
})

test('open() refuses a blob of another length', async () => {
  const { host } = await scriptedRegistry((_, response) => response.end('short'))
  await assert.rejects(repositoryAt(host).open(layer), { code: 'size-mismatch' })
})

test('a registry that falls silent ends in an error', async () => {
  const { host } = await scriptedRegistry(() => undefined)
  const repository = repositoryAt(host, { timeouts: { connectMs: 50, idleMs: 50 } })
  await assert.rejects(repository.resolve(v1), { code: 'registry-unreachable', message: /did not answer/ })
})

test('a blob that falls silent ends in an error', async () => {
  const { host } = await scriptedRegistry((_, response) => {
    response.writeHead(200, { 'content-length': blob.length })
    response.write('a bit')
  })
  const repository = repositoryAt(host, { timeouts: { connectMs: 50, idleMs: 50 } })
  await assert.rejects(readAll(await repository.open(layer)), {
    code: 'registry-unreachable',
    message: /did not send more data within/,
  })
})

test('a reader that takes its time is not a silent registry', async () => {
  const large = Buffer.alloc(8_000_000, 'x')
  const { host } = await scriptedRegistry((_, response) => response.end(large))
  const repository = repositoryAt(host, { timeouts: { connectMs: 50, idleMs: 50 } })
  const stream = await repository.open({ ...layer, digest: digestOf(large), size: large.length })
  await new Promise(resolve => setTimeout(resolve, 120))
  assert.deepEqual(await readAll(stream), large)
})

test('the signal ends a wait for an answer and a read', async () => {
  const { host } = await scriptedRegistry((request, response) => {
    if (request.url?.includes('/blobs/')) response.writeHead(200).write('a bit')
  })
  const reason = new Error('enough')
  const asking = new AbortController()
  const resolved = repositoryAt(host, { signal: asking.signal }).resolve(v1)
  asking.abort(reason)
  await assert.rejects(resolved, reason)

  const reading = new AbortController()
  const stream = await repositoryAt(host, { signal: reading.signal }).open(layer)
  stream.once('data', () => reading.abort(reason))
  await assert.rejects(readAll(stream), reason)
})

test('a destroyed stream closes its connection at once', async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const { host } = await scriptedRegistry((_, response) => {
    response.on('close', resolve)
    response.writeHead(200).write('a bit')
  })
  const stream = await repositoryAt(host).open(layer)
  stream.destroy()
  await closed
})

test('an overloaded registry is asked again, a missing one is not', async () => {
  let requests = 0
  const { host } = await scriptedRegistry((_, response) =>
    requests++ < 2 ? response.writeHead(503).end() : response.writeHead(200, manifestHeaders()).end(),
  )
  assert.deepEqual(await repositoryAt(host).resolve(v1), descriptor)
  assert.equal(requests, 3)
})

test('failures keep the words of the registry, on one line', async () => {
  const body = JSON.stringify({ errors: [{ code: 'UNKNOWN', message: 'disk\u001b[31m\nfull' }] })
  const { host } = await scriptedRegistry((request, response) =>
    request.method === 'HEAD' ? response.writeHead(405).end() : response.writeHead(500).end(body),
  )
  await assert.rejects(repositoryAt(host).resolve(v1), {
    code: 'registry-failed',
    message: `Cannot read ${host}/team/app from ${host}: it answered 500: UNKNOWN: disk [31m full`,
  })
})

test('a limit on requests is told with the time to wait', async () => {
  const { host, seen } = await scriptedRegistry((_, response) =>
    response.writeHead(429, { 'retry-after': '3600' }).end(),
  )
  await assert.rejects(repositoryAt(host).resolve(v1), { code: 'rate-limited', hint: /3600 seconds/ })
  assert.equal(seen.length, 1)
})

test('nobody listening is told with host and port', async () => {
  await assert.rejects(repositoryAt('127.0.0.1:1').resolve(v1), {
    code: 'registry-unreachable',
    message: 'Cannot reach 127.0.0.1:1: connection refused',
  })
})

test('an answer that is not HTTP is told', async () => {
  const net = await import('node:net')
  const server = net.createServer(socket =>
    socket.on('error', () => undefined).end('\x15\x03\x01\x00\x02\x02\x46'),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as import('node:net').AddressInfo
  await assert.rejects(repositoryAt(`127.0.0.1:${port}`).resolve(v1), { code: 'response-invalid' })
  server.close()
})

test('listTags() follows the pages and refuses an endless list', async () => {
  const { host } = await scriptedRegistry((request, response) => {
    const isFirst = !request.url?.includes('last=')
    if (isFirst) response.setHeader('link', '</v2/team/app/tags/list?n=1000&last=b>; rel="next"')
    response.end(JSON.stringify({ name: 'team/app', tags: isFirst ? ['a', 'b'] : ['c', '-no-tag'] }))
  })
  assert.deepEqual(await repositoryAt(host).listTags(), ['a', 'b', 'c'])

  const endless = await scriptedRegistry((_, response) => {
    response.setHeader('link', '</v2/team/app/tags/list?last=b>; rel="next"')
    response.end('{"tags":["a"]}')
  })
  await assert.rejects(repositoryAt(endless.host).listTags(), { code: 'response-invalid' })
})
