import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import type { RequestListener } from 'node:http'
import https from 'node:https'
import { test } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Tag } from '../../../src/oci/reference.ts'
import { listen, repositoryAt, scriptedRegistry } from './scripted-registry.ts'

const v1 = 'v1' as Tag
const { signal } = new AbortController()

/** Key and certificate of nobody that anyone trusts. */
const pem = execFileSync(
  'openssl',
  'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -keyout - -out -'.split(
    ' ',
  ),
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
)

function tlsRegistry(handler: RequestListener): Promise<string> {
  return listen(https.createServer({ key: pem, cert: pem }, handler))
}

/** 127.0.0.1 would be spoken to in plain HTTP. */
const overTls = (host: string, insecure = true) => ({ registries: { [host]: { http: false, insecure } } })

test('a certificate that nobody signed is refused, with the way out', async () => {
  const host = await tlsRegistry((_, response) => response.writeHead(404).end())
  await assert.rejects(repositoryAt(host, overTls(host, false)).resolve(v1), {
    code: 'tls-failed',
    hint: /insecure = true/,
  })
  assert.equal(await repositoryAt(host, overTls(host)).resolve(v1), undefined)
})

test('plain HTTP to a registry that speaks TLS is told', async () => {
  const host = await tlsRegistry((_, response) => response.end())
  await assert.rejects(repositoryAt(host).resolve(v1), { name: 'RemoteError' })
})

test('an upload goes on over TLS where a registry behind a proxy calls itself http', async () => {
  const blob = Buffer.from('blob')
  const requests: string[] = []
  const host = await tlsRegistry((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    request.resume()
    const location = `http://${request.headers.host}/up?_state=1`
    response.writeHead(request.method === 'POST' ? 202 : 201, { location }).end()
  })
  async function* source() {
    yield blob
  }
  const descriptor = { mediaType: 'application/octet-stream', digest: digestOf(blob), size: blob.length }
  await repositoryAt(host, overTls(host)).write(descriptor, source(), signal)
  assert.equal(requests.length, 2)
})

test('what an untrusted connection may do, a trusted one may not: leave TLS', async () => {
  const { locationURL } = await import('../../../src/remote/exchange.ts')
  const base = new URL('https://reg.example/v2/')
  const endpoint = { host: 'reg.example', base, insecure: false }
  const locate = (location: string, insecure = false) =>
    locationURL({ ...endpoint, insecure }, new URL('https://reg.example/v2/a'), location, 'Cannot').href
  assert.equal(locate('/x?y=1#z'), 'https://reg.example/x?y=1')
  assert.equal(locate('http://reg.example/x'), 'https://reg.example/x')
  assert.equal(locate('https://user:secret@cdn.example/x'), 'https://cdn.example/x')
  assert.throws(() => locate('http://cdn.example/x'), { code: 'response-invalid' })
  assert.throws(() => locate('http://reg.example:81/x'), { code: 'response-invalid' })
  assert.equal(locate('http://cdn.example/x', true), 'http://cdn.example/x')
})

test('a token endpoint outside TLS gets no password from a registry inside it', async () => {
  const { createAuthorizer } = await import('../../../src/remote/auth.ts')
  const token = await scriptedRegistry((_, response) => response.end('{"token":"t"}'))
  const authorizer = createAuthorizer({
    transport: {
      send: () => assert.fail('nothing is to be sent'),
      [Symbol.dispose]: () => undefined,
    },
    credentials: { get: async () => ({ kind: 'password', username: 'alice', password: 's3cret' }) },
    userAgent: 'slipway-test',
    now: () => 0,
  })
  const endpoint = { host: 'reg.example', base: new URL('https://reg.example/v2/'), insecure: false }
  const challenge = {
    url: endpoint.base,
    status: 401,
    headers: { 'www-authenticate': `Bearer realm="http://${token.host}/token"` },
    body: () => assert.fail('nobody reads it'),
    drop: () => undefined,
  }
  authorizer.learn(endpoint, challenge, [])
  await assert.rejects(authorizer.header(endpoint, [], signal), {
    code: 'response-invalid',
    message: /HTTPS/,
  })
})
