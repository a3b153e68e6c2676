/** What a registry that pulls through needs of the client. */
import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { indexBytes } from '../../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import type { Tag } from '../../../src/oci/reference.ts'
import { isInternal } from '../../../src/remote/internal-address.ts'
import { repositoryAt, scriptedRegistry } from './scripted-registry.ts'

const v1 = 'v1' as Tag
const manifest = indexBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests: [] })
const blob = digestOf('blob')

test('readManifest() takes one request, and keeps the bytes', async () => {
  const { host, seen } = await scriptedRegistry((_, response) =>
    response.writeHead(200, { 'content-type': MEDIA_TYPE.ociIndex }).end(manifest),
  )
  const read = await repositoryAt(host).readManifest(v1)
  assert.deepEqual(read?.bytes, manifest)
  assert.deepEqual(read?.descriptor, {
    mediaType: MEDIA_TYPE.ociIndex,
    digest: digestOf(manifest),
    size: manifest.length,
  })
  assert.deepEqual(
    seen.map(({ method }) => method),
    ['GET'],
  )
})

test('readManifest() holds the registry to its own header', async () => {
  const { host } = await scriptedRegistry((_, response) =>
    response
      .writeHead(200, {
        'content-type': MEDIA_TYPE.ociIndex,
        'docker-content-digest': digestOf('another'),
      })
      .end(manifest),
  )
  await assert.rejects(repositoryAt(host).readManifest(v1), { code: 'digest-mismatch' })
})

test('statBlob() tells the size, nothing for a missing one, and refuses one without a size', async () => {
  const { host } = await scriptedRegistry((request, response) => {
    if (request.url?.includes(blob)) response.writeHead(200, { 'content-length': 4 }).end()
    else if (request.url?.includes(digestOf('chunked')))
      response.writeHead(200, { 'transfer-encoding': 'chunked' }).end()
    else response.writeHead(404).end()
  })
  const repository = repositoryAt(host)
  assert.deepEqual(await repository.statBlob(blob), { digest: blob, size: 4 })
  assert.equal(await repository.statBlob(digestOf('missing')), undefined)
  await assert.rejects(repository.statBlob(digestOf('chunked')), { code: 'response-invalid' })
})

describe('listReferrers()', () => {
  const referrer = (text: string) => ({ mediaType: MEDIA_TYPE.ociManifest, digest: digestOf(text), size: 1 })
  const index = (...texts: string[]) =>
    indexBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests: texts.map(referrer) })

  it('follows the pages', async () => {
    const { host } = await scriptedRegistry((request, response) => {
      const isFirst = !request.url?.includes('last=')
      if (isFirst) response.setHeader('link', `<${request.url}?last=x>; rel="next"`)
      response.end(isFirst ? index('a') : index('b'))
    })
    const found = await repositoryAt(host).listReferrers(blob)
    assert.deepEqual(
      found.map(({ digest }) => digest),
      [digestOf('a'), digestOf('b')],
    )
  })

  it('takes the tag where there is no such API, and nothing where there is no tag', async () => {
    const { host } = await scriptedRegistry((request, response) =>
      request.url?.includes(`/manifests/${blob.replace(':', '-')}`)
        ? response.writeHead(200, { 'content-type': MEDIA_TYPE.ociIndex }).end(index('tagged'))
        : response.writeHead(404).end(),
    )
    const found = await repositoryAt(host).listReferrers(blob)
    assert.deepEqual(
      found.map(({ digest }) => digest),
      [digestOf('tagged')],
    )
    assert.deepEqual(await repositoryAt(host).listReferrers(digestOf('none')), [])
  })

  it('finds nothing in a page that is no list, and does not follow lists without end', async () => {
    const page = await scriptedRegistry((_, response) => response.end('<html>'))
    assert.deepEqual(await repositoryAt(page.host).listReferrers(blob), [])
    const endless = await scriptedRegistry((request, response) => {
      response.setHeader('link', `<${request.url}>; rel="next"`)
      response.end(index('a'))
    })
    await assert.rejects(repositoryAt(endless.host).listReferrers(blob), { code: 'response-invalid' })
  })
})

describe('where credentials may go', () => {
  const alice = { kind: 'password', username: 'alice', password: 's3cret' } as const

  it('L15: is not to a token endpoint that is not trusted', async () => {
    const other = await scriptedRegistry((_, response) => response.end('{"token":"good"}'))
    const { host } = await scriptedRegistry((_, response) =>
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${other.host}/token"` }).end(),
    )
    const repository = repositoryAt(host, {
      credentials: { get: async () => alice },
      trustsRealm: (endpoint, realm) => endpoint.base.host === realm.host,
    })
    await assert.rejects(repository.resolve(v1), {
      code: 'unauthorized',
      message: `Cannot log in to ${host}: it wants the credentials to be sent to ${other.host}`,
      hint: /set realm = "127\.0\.0\.1"/,
    })
    assert.deepEqual(other.seen, [])
  })

  it('is not to where a redirect leads', async () => {
    const storage = await scriptedRegistry((_, response) => response.end('blob'))
    const { host } = await scriptedRegistry((request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      else response.writeHead(307, { location: `http://${storage.host}/signed` }).end()
    })
    const repository = repositoryAt(host, { credentials: { get: async () => alice } })
    const stream = await repository.open({ mediaType: MEDIA_TYPE.ociLayer, digest: blob, size: 4 })
    stream.destroy()
    assert.deepEqual(
      storage.seen.map(({ authorization }) => authorization),
      [undefined],
    )
  })
})

describe('isInternal()', () => {
  const rows = [
    ['http://127.0.0.1:5000/', true],
    ['http://127.1/', true],
    ['http://2130706433/', true],
    ['http://0.0.0.0/', true],
    ['http://169.254.169.254/latest/meta-data', true],
    ['http://localhost/', true],
    ['http://LOCALHOST./', true],
    ['http://x.localhost/', true],
    ['http://[::1]:80/', true],
    ['http://[::]/', true],
    ['http://[fe80::1]/', true],
    ['http://[::ffff:127.0.0.1]/', true],
    ['http://[fd00:ec2::254]/', true],
    ['http://10.0.0.1/', false],
    ['https://registry-1.docker.io/', false],
    ['https://localhost.example.com/', false],
    ['http://[2001:db8::1]/', false],
  ] as const
  for (const [url, want] of rows)
    it(`says that ${url} is ${want ? 'one' : 'none'}`, () => {
      assert.equal(isInternal(new URL(url)), want)
    })
})
