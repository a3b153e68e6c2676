import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference, type Tag } from '../../../src/oci/reference.ts'
import { createRemote } from '../../../src/remote/client.ts'
import { anonymous } from '../../../src/remote/credentials.ts'
import { mirrorEndpoints, ownEndpoint, type RegistryConfig } from '../../../src/remote/registry-config.ts'
import { repositoryAt, scriptedRegistry } from './scripted-registry.ts'

const v1 = 'v1' as Tag

test('ownEndpoint() finds scheme and host as Docker does', () => {
  const rows: readonly [string, RegistryConfig, string][] = [
    ['docker.io', {}, 'https://registry-1.docker.io/v2/'],
    ['ghcr.io', {}, 'https://ghcr.io/v2/'],
    ['localhost:5000', {}, 'http://localhost:5000/v2/'],
    ['127.1.2.3', {}, 'http://127.1.2.3/v2/'],
    ['[::1]:5000', {}, 'http://[::1]:5000/v2/'],
    ['localhost:5000', { 'localhost:5000': { http: false } }, 'https://localhost:5000/v2/'],
    ['lan:5000', { 'lan:5000': { http: true } }, 'http://lan:5000/v2/'],
    ['lan:5000', { 'lan:5000': { insecure: true } }, 'https://lan:5000/v2/'],
  ]
  for (const [host, config, want] of rows) assert.equal(ownEndpoint(host, config).base.href, want)
})

test('mirrorEndpoints() keeps the order, the prefix, and each mirror’s own options', () => {
  const config = {
    'docker.io': { mirrors: ['127.0.0.1:5998', 'harbor.lan/hub', 'lan:1', 'http://old.lan:80/'] },
    'lan:1': { http: true, insecure: true },
  }
  assert.deepEqual(
    mirrorEndpoints('docker.io', config).map(({ base, insecure, mirrorOf }) => [
      base.href,
      insecure,
      mirrorOf,
    ]),
    [
      ['http://127.0.0.1:5998/v2/', false, 'docker.io'],
      ['https://harbor.lan/v2/hub/', false, 'docker.io'],
      ['http://lan:1/v2/', true, 'docker.io'],
      ['http://old.lan/v2/', false, 'docker.io'],
    ],
  )
  assert.throws(() => mirrorEndpoints('x.io', { 'x.io': { mirrors: ['user:pass@evil'] } }), {
    code: 'registry-unreachable',
  })
})

function hub(mirrors: readonly string[], now = () => 0) {
  return createRemote({
    // Its own host is nobody.
    registries: { 'nobody.invalid': { mirrors } },
    credentials: anonymous,
    userAgent: 'slipway-test',
    now,
    delay: async () => undefined,
  }).repository(parseReference('nobody.invalid/library/debian'), { signal: new AbortController().signal })
}

const digest = `sha256:${'0'.repeat(64)}`
const found = {
  'content-type': 'application/vnd.oci.image.manifest.v1+json',
  'content-length': '7',
  'docker-content-digest': digest,
}

test('mirrors are asked in order, and told whom they stand in for', async () => {
  const empty = await scriptedRegistry((_, response) => response.writeHead(404).end())
  const full = await scriptedRegistry((_, response) => response.writeHead(200, found).end())
  const descriptor = await hub(['127.0.0.1:1', empty.host, `${full.host}/cache/hub`]).resolve(v1)
  assert.equal(descriptor?.digest, digest)
  assert.deepEqual(
    empty.seen.map(({ url }) => url),
    ['/v2/library/debian/manifests/v1?ns=nobody.invalid'],
  )
  assert.deepEqual(
    full.seen.map(({ url }) => url),
    ['/v2/cache/hub/library/debian/manifests/v1?ns=nobody.invalid'],
  )
})

test('when all fail the error is the registry’s, with what the mirrors said', async () => {
  const empty = await scriptedRegistry((_, response) => response.writeHead(404).end())
  await assert.rejects(hub([empty.host]).resolve(v1), {
    code: 'registry-unreachable',
    message: /nobody\.invalid/,
    hint: `its mirror ${empty.host} does not have it`,
  })
})

test('writing goes to the registry, not to a mirror', async () => {
  const mirror = await scriptedRegistry((_, response) => response.writeHead(200).end())
  const own = await scriptedRegistry((_, response) => response.writeHead(404).end())
  const repository = repositoryAt(own.host, { registries: { [own.host]: { mirrors: [mirror.host] } } })
  const descriptor = { mediaType: 'application/octet-stream', digest: digest as never, size: 1 }
  assert.equal(await repository.has(descriptor), false)
  assert.equal(mirror.seen.length, 0)
})

test('an insecure registry without TLS is spoken to in plain HTTP', async () => {
  const { host, seen } = await scriptedRegistry((_, response) => response.writeHead(200, found).end())
  const registries = { [host]: { http: false, insecure: true } }
  assert.equal((await repositoryAt(host, { registries }).resolve(v1))?.digest, digest)
  assert.equal(seen.length, 1)
  await assert.rejects(repositoryAt(host, { registries: { [host]: { http: false } } }).resolve(v1), {
    code: 'tls-failed',
    hint: /http = true/,
  })
})
