import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { proxiesOf } from '../../../src/remote/proxies.ts'
import { createTransport, type Transport } from '../../../src/remote/transport.ts'
import { createTrust } from '../../../src/remote/trust.ts'
import {
  type ForwardProxy,
  type ForwardProxyOptions,
  startForwardProxy,
} from '../../support/forward-proxy.ts'
import { listen, readAll } from './scripted-registry.ts'

const folder = mkdtempSync(join(tmpdir(), 'slipway-tunnel-'))
after(() => rmSync(folder, { recursive: true }))

const pem = execFileSync(
  'openssl',
  [
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x -keyout - -out -'.split(
      ' ',
    ),
    ...['-addext', 'subjectAltName=DNS:a.test,DNS:proxy.test,IP:127.0.0.1'],
  ],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
)
const authority = join(folder, 'ca.pem')
writeFileSync(authority, pem)

const answer: http.RequestListener = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => {
    const { headers, url, method } = request
    response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }))
  })
}

async function portOf(server: http.Server): Promise<number> {
  return Number((await listen(server)).split(':')[1])
}

async function startProxy(options: Partial<ForwardProxyOptions> = {}): Promise<ForwardProxy> {
  const ports = {
    'a.test:443': await portOf(https.createServer({ key: pem, cert: pem }, answer)),
    'a.test:80': await portOf(http.createServer(answer)),
  }
  return startForwardProxy({ ports, ...options })
}

function through(proxy: string, authorityFiles: readonly string[] = [authority]): Transport {
  const transport = createTransport({
    timeouts: { connectMs: 500, idleMs: 2000 },
    trust: createTrust({ hostFolders: [], authorityFiles }),
    chooseProxy: proxiesOf({ HTTP_PROXY: proxy, HTTPS_PROXY: proxy }),
  })
  after(() => transport[Symbol.dispose]())
  return transport
}

const { signal } = new AbortController()

async function ask(transport: Transport, url: string, body?: Buffer) {
  const method = body === undefined ? 'GET' : 'PUT'
  const response = await transport.send({ method, url: new URL(url), signal, ...(body && { body }) })
  assert.equal(response.status, 200)
  return JSON.parse((await readAll(response.body())).toString())
}

describe('a transport with a proxy', () => {
  it('asks over TLS in one tunnel for several requests', async () => {
    await using proxy = await startProxy()
    const transport = through(proxy.host)
    const { url, headers } = await ask(transport, 'https://a.test/v2/?x=1')
    assert.equal(url, '/v2/?x=1')
    assert.equal(headers.host, 'a.test')
    assert.equal(headers['proxy-authorization'], undefined)
    assert.equal((await ask(transport, 'https://a.test/up', Buffer.from('blob'))).body, 'blob')
    assert.deepEqual(proxy.seen, ['CONNECT a.test:443'])
  })

  it('asks for plain http with the whole URL, and no password in it', async () => {
    await using proxy = await startProxy()
    const { url, headers } = await ask(through(proxy.host), 'http://me:secret@a.test/v2/')
    assert.equal(url, '/v2/')
    assert.equal(headers.host, 'a.test')
    assert.equal(headers.authorization, `Basic ${Buffer.from('me:secret').toString('base64')}`)
    assert.deepEqual(proxy.seen, ['GET http://a.test/v2/'])
  })

  it('gives the proxy the credentials of its URL, decoded', async () => {
    await using proxy = await startProxy({ credentials: 'me:p@ss' })
    const transport = through(`http://me:p%40ss@${proxy.host}`)
    await ask(transport, 'https://a.test/')
    await ask(transport, 'http://a.test/')
    await assert.rejects(ask(through(proxy.host), 'https://a.test/'), {
      code: 'registry-unreachable',
      message: `Cannot reach a.test:443: the proxy ${proxy.host} wants credentials, or other ones`,
    })
  })

  it('speaks TLS to the proxy where its URL says so, and believes it by the same authorities', async () => {
    await using proxy = await startProxy({ tls: { key: pem, cert: pem } })
    const transport = through(`https://${proxy.host}`)
    await ask(transport, 'https://a.test/')
    await ask(transport, 'http://a.test/')
    assert.deepEqual(proxy.seen, ['CONNECT a.test:443', 'GET http://a.test/'])
    await assert.rejects(ask(through(`https://${proxy.host}`, []), 'https://a.test/'), {
      code: 'registry-unreachable',
      message: /the proxy .* cannot be reached: .*certificate/,
    })
  })

  it('believes the server at the end of the tunnel no more than without one', async () => {
    await using proxy = await startProxy()
    await assert.rejects(ask(through(proxy.host, []), 'https://a.test/'), { code: 'tls-failed' })
    const transport = through(proxy.host, [])
    const response = await transport.send({
      method: 'GET',
      url: new URL('https://a.test/'),
      insecure: true,
      signal,
    })
    assert.equal(response.status, 200)
    response.drop()
  })

  it('tells what the proxy refuses', async () => {
    await using proxy = await startProxy()
    await assert.rejects(ask(through(proxy.host), 'https://b.test/'), {
      message: `Cannot reach b.test:443: the proxy ${proxy.host} refuses: it answered 403`,
    })
  })

  it('does not wait for a proxy that is silent, nor after it is told to stop', async () => {
    await using proxy = await startProxy({ hangs: true })
    await assert.rejects(ask(through(proxy.host), 'https://a.test/'), { code: 'registry-unreachable' })
    const controller = new AbortController()
    const asking = through(proxy.host).send({
      method: 'GET',
      url: new URL('https://a.test/'),
      signal: controller.signal,
    })
    const reason = new Error('told to stop')
    setImmediate(() => controller.abort(reason))
    await assert.rejects(asking, reason)
  })

  it('tells of a proxy that is not there', async () => {
    const proxy = await startProxy()
    await proxy[Symbol.asyncDispose]()
    await assert.rejects(ask(through(proxy.host), 'https://a.test/'), {
      message: /^Cannot reach a\.test:443: the proxy .* cannot be reached: .*ECONNREFUSED/,
    })
  })
})
