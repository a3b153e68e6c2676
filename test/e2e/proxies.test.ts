import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ForwardProxy, startForwardProxy } from '../support/forward-proxy.ts'
import { succeed } from './support/process.ts'
import { slipwayAt } from './support/slipway.ts'
import { cannotRun } from './support/world.ts'

describe('a machine behind a proxy, with authorities of its own', {
  skip: cannotRun({ programs: ['openssl'] }),
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-e2e-proxy-'))
  const context = join(folder, 'context')
  const authority = join(folder, 'ca.pem')
  const asked: string[] = []
  let server: https.Server
  let proxy: ForwardProxy
  let stores = 0

  before(async () => {
    const name = '/CN=registry.test'
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ]
    const pem = await succeed('openssl', [
      ...request,
      ...['-subj', name, '-addext', 'subjectAltName=DNS:registry.test', '-keyout', '-', '-out', '-'],
    ])
    writeFileSync(authority, pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')))
    mkdirSync(join(folder, 'authorities'))
    const hash = await succeed('openssl', ['x509', '-noout', '-subject_hash', '-in', authority])
    copyFileSync(authority, join(folder, 'authorities', `${hash.trim()}.0`))
    server = https.createServer({ key: pem, cert: pem }, (incoming, response) => {
      asked.push(`${incoming.method} ${incoming.url}`)
      response.writeHead(incoming.url === '/file' ? 200 : 404).end('content')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    proxy = await startForwardProxy({ ports: { 'registry.test:443': port }, credentials: 'me:secret' })
    mkdirSync(context)
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nADD https://registry.test/file /\n')
  })
  after(async () => {
    await proxy[Symbol.asyncDispose]()
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })

  const slipway = (env: Readonly<Record<string, string>>) =>
    slipwayAt(join(folder, `store-${stores++}`), { https_proxy: `http://me:secret@${proxy.host}`, ...env })

  for (const [variable, value] of [
    ['NODE_EXTRA_CA_CERTS', authority],
    ['SSL_CERT_FILE', authority],
    ['SSL_CERT_DIR', join(folder, 'authorities')],
  ] as const) {
    it(`ADD goes through it, and believes ${variable}`, async () => {
      await slipway({ [variable]: value }).run(['build', context])
      assert.equal(asked.at(-1), 'GET /file')
      assert.equal(proxy.seen.at(-1), 'CONNECT registry.test:443')
    })
  }

  it('registries are asked through it', async () => {
    const { code, stderr } = await slipway({ SSL_CERT_FILE: authority }).try(['pull', 'registry.test/app:1'])
    assert.equal(code, 1)
    assert.match(stderr, /registry\.test\/app:1/)
    assert.match(asked.at(-1) ?? '', /^(GET|HEAD) \/v2\/app\/manifests\/1$/)
  })

  it('nothing is asked that nobody vouches for, and no error tells the password', async () => {
    const before = asked.length
    const untrusted = await slipway({}).try(['pull', 'registry.test/app:1'])
    assert.equal(untrusted.code, 1)
    assert.match(untrusted.stderr, /Cannot trust registry\.test/)
    const refused = await slipway({ https_proxy: `me:wrong-secret@${proxy.host}` }).try([
      'pull',
      'registry.test/app:1',
    ])
    assert.match(refused.stderr, /the proxy .* wants credentials, or other ones/)
    assert.doesNotMatch(refused.stderr + untrusted.stderr, /secret/)
    assert.equal(asked.length, before)
  })
})
