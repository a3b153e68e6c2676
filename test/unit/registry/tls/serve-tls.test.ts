import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent, request as secureRequest } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { after, before, describe, it, mock } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { digestOf } from '../../../../src/oci/digest.ts'
import { createRegistryApp } from '../../../../src/registry/app.ts'
import { type RunningRegistry, startRegistry } from '../../../../src/registry/serve.ts'
import { createRepositoryStore } from '../../../../src/registry/store-repositories.ts'
import {
  type CertifiedKey,
  makeAuthority,
  makeServerCertificate,
} from '../../../../src/registry/tls/certificate.ts'
import { requireTls, serveAuthority } from '../../../../src/registry/tls/plain-http.ts'
import { openTestStore, type TestStore } from '../support.ts'

const validity = { from: Date.now() - 60_000, until: Date.now() + 3600_000 }
const authority = makeAuthority('Test CA', validity)
const certified = (name: string): CertifiedKey =>
  makeServerCertificate({
    name,
    hosts: [name, '127.0.0.1'],
    validity,
    authority: { name: 'Test CA', key: createPrivateKey(authority.key) },
  })

describe('a registry with TLS', () => {
  let disk: TestStore
  let registry: RunningRegistry
  let next: CertifiedKey | Error | undefined = certified('first')
  const told: unknown[] = []
  const ca = authority.certificate

  before(async () => {
    mock.timers.enable({ apis: ['setInterval'] })
    disk = await openTestStore()
    const app = createRegistryApp({
      repositories: createRepositoryStore({ store: disk.store }),
      extras: [requireTls(true), serveAuthority(ca)],
    })
    const source = {
      async next() {
        const given = next
        if (given instanceof Error) throw given
        next = undefined
        return given
      },
    }
    const kept = {
      source,
      everyMs: 1000,
      onRenewed: () => told.push('renewed'),
      onProblem: (e: unknown) => told.push(e),
    }
    registry = await startRegistry({ app, host: '127.0.0.1', port: 0, tls: kept })
  })
  after(async () => {
    mock.timers.reset()
    await registry.close()
    disk.remove()
  })

  /** Lets a renewal that the mocked timer began come to its end. */
  async function tick(): Promise<void> {
    mock.timers.tick(1000)
    await new Promise(resolve => setImmediate(resolve))
  }

  interface Asked {
    readonly method?: string
    readonly path: string
    readonly body?: Buffer
    readonly headers?: Record<string, string>
  }

  async function ask(isSecure: boolean, { method = 'GET', path, body, headers = {} }: Asked) {
    const options = { host: '127.0.0.1', port: registry.address.port, method, path, headers }
    const sent = isSecure
      ? secureRequest({ ...options, ca, agent: new Agent({ maxCachedSessions: 0 }) })
      : plainRequest({ ...options, agent: false })
    sent.end(body)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }
  }

  async function peerName(): Promise<string> {
    const socket: TLSSocket = connect({ host: '127.0.0.1', port: registry.address.port, ca })
    await once(socket, 'secureConnect')
    const { subject } = socket.getPeerCertificate()
    socket.destroy()
    return String(subject.CN)
  }

  it('takes and gives blobs larger than any buffer', async () => {
    const bytes = Buffer.alloc(3 * 1024 * 1024, 'slipway')
    const digest = digestOf(bytes)
    const put = await ask(true, {
      method: 'POST',
      path: `/v2/app/blobs/uploads/?digest=${digest}`,
      body: bytes,
    })
    assert.equal(put.status, 201)
    const got = await ask(true, { path: `/v2/app/blobs/${digest}` })
    assert.equal(digestOf(got.body), digest)
  })

  it('tells a client that speaks plain HTTP what to do', async () => {
    const api = await ask(false, { path: '/v2/', headers: { host: 'server:5000' } })
    assert.equal(api.status, 426)
    assert.match(String(api.headers.upgrade), /^TLS/)
    const { errors } = JSON.parse(api.body.toString())
    assert.match(errors[0].message, /https:\/\/server:5000.*http:\/\/server:5000\/ca\.crt/)
    const push = await ask(false, {
      method: 'POST',
      path: `/v2/app/blobs/uploads/?digest=${digestOf('x')}`,
      body: Buffer.from('x'),
    })
    assert.equal(push.status, 426)
    const page = await ask(false, { path: '/some/page?x=1', headers: { host: 'server:5000' } })
    assert.equal(page.status, 308)
    assert.equal(page.headers.location, 'https://server:5000/some/page?x=1')
  })

  it('repeats no host that is none', async () => {
    const { status, body } = await ask(false, { path: '/page', headers: { host: 'evil/<b>' } })
    assert.equal(status, 426)
    assert.ok(!body.toString().includes('evil'))
  })

  it('gives the certificate of its authority over both', async () => {
    for (const isSecure of [false, true]) {
      for (const path of ['/ca.crt', '/.well-known/slipway/ca.crt']) {
        const { status, body } = await ask(isSecure, { path })
        assert.equal(status, 200)
        assert.equal(body.toString(), ca)
      }
    }
  })

  it('drops what is neither TLS nor HTTP, and goes on', async () => {
    for (const bytes of [
      Buffer.of(22, 3, 1, 0, 5, 1, 2, 3, 4, 5),
      Buffer.of(0, 1, 2),
      Buffer.from('\n\n\0GET'),
    ]) {
      const socket = connectPlain(registry.address.port, '127.0.0.1')
      const closed = once(socket, 'close')
      socket.on('error', () => undefined)
      socket.resume()
      socket.end(bytes)
      await closed
    }
    const silent = connectPlain(registry.address.port, '127.0.0.1')
    await once(silent, 'connect')
    silent.destroy()
    assert.equal((await ask(true, { path: '/v2/' })).status, 200)
  })

  it('uses the next certificate for connections from now on, and cuts none', async () => {
    const before = connect({ host: '127.0.0.1', port: registry.address.port, ca })
    await once(before, 'secureConnect')
    assert.equal(await peerName(), 'first')
    next = certified('second')
    await tick()
    assert.deepEqual(told, ['renewed'])
    assert.equal(await peerName(), 'second')
    before.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    const [answer] = await once(before, 'data')
    assert.match(String(answer), /^HTTP\/1\.1 200/)
    before.destroy()
  })

  it('keeps the last certificate while the next one is broken, and says so once', async () => {
    told.length = 0
    next = new Error('broken')
    for (let tries = 0; tries < 3; tries++) await tick()
    assert.equal(told.length, 1)
    assert.equal(await peerName(), 'second')
    next = certified('third')
    await tick()
    assert.equal(await peerName(), 'third')
  })

  it('speaks nothing older than TLS 1.2', async () => {
    const socket = connect({
      host: '127.0.0.1',
      port: registry.address.port,
      ca,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
    })
    await assert.rejects(once(socket, 'secureConnect'))
  })
})
