import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Tag } from '../../../src/oci/reference.ts'
import { makeAuthority, makeServerCertificate } from '../../../src/registry/tls/certificate.ts'
import { secureConnections } from '../../../src/registry/tls/secure-connections.ts'
import { createTrust } from '../../../src/remote/trust.ts'
import { listen, repositoryAt } from './scripted-registry.ts'

const v1 = 'v1' as Tag
const validity = { from: Date.now() - 60_000, until: Date.now() + 3600_000 }
const authority = makeAuthority('Test CA', validity)
const server = makeServerCertificate({
  name: 'server',
  hosts: ['127.0.0.1'],
  validity,
  authority: { name: 'Test CA', key: createPrivateKey(authority.key) },
})
const options = { cert: server.certificate, key: server.key }

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-trust-'))
})
after(() => rm(folder, { recursive: true }))

async function certsFolder(
  name: string,
  host: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const path = join(folder, name)
  await mkdir(join(path, host), { recursive: true })
  for (const [file, text] of Object.entries(files)) await writeFile(join(path, host, file), text)
  return path
}

const tls = (host: string) => ({ registries: { [host]: { http: false } } })
const notFound: http.RequestListener = (_, response) => response.writeHead(404).end()

describe('createTrust()', () => {
  it("believes the authorities of a registry's folder, for that registry only", async () => {
    const host = await listen(https.createServer(options, notFound))
    const other = await listen(https.createServer(options, notFound))
    const hostFolder = await certsFolder('one', host, { 'ca.crt': authority.certificate, 'notes.txt': 'x' })
    const trust = createTrust({ hostFolders: [join(folder, 'none'), hostFolder], authorityFiles: [] })
    assert.equal(await repositoryAt(host, { ...tls(host), trust }).resolve(v1), undefined)
    await assert.rejects(repositoryAt(other, { ...tls(other), trust }).resolve(v1), { code: 'tls-failed' })
  })

  it('believes the files for every host, and needs none of them', async () => {
    const host = await listen(https.createServer(options, notFound))
    const file = join(folder, 'ca.crt')
    const trust = createTrust({ hostFolders: [], authorityFiles: [join(folder, 'none'), file] })
    await writeFile(file, authority.certificate)
    assert.equal(await repositoryAt(host, { ...tls(host), trust }).resolve(v1), undefined)
  })

  it('shows the certificate of the folder to a registry that asks', async () => {
    const names: unknown[] = []
    const asking = { ...options, requestCert: true, rejectUnauthorized: false }
    const host = await listen(
      https.createServer(asking, (request, response) => {
        names.push((request.socket as TLSSocket).getPeerCertificate().subject.CN)
        response.writeHead(404).end()
      }),
    )
    const hostFolder = await certsFolder('client', host, {
      'ca.crt': authority.certificate,
      'client.cert': server.certificate,
      'client.key': server.key,
    })
    const trust = createTrust({ hostFolders: [hostFolder], authorityFiles: [] })
    await repositoryAt(host, { ...tls(host), trust }).resolve(v1)
    assert.deepEqual(names, ['server'])
  })

  it('names the folder of a file that is no certificate', async () => {
    const host = await listen(https.createServer(options, notFound))
    const hostFolder = await certsFolder('broken', host, { 'x.cert': 'nothing', 'x.key': 'nothing' })
    const trust = createTrust({ hostFolders: [hostFolder], authorityFiles: [] })
    await assert.rejects(repositoryAt(host, { ...tls(host), trust }).resolve(v1), {
      code: 'tls-failed',
      hint: new RegExp(join(hostFolder, host)),
    })
  })
})

describe('a registry on a loopback address', () => {
  it('is asked over TLS once it says that it wants that', async () => {
    const seen: string[] = []
    const plain = http.createServer((request, response) => {
      const isEncrypted = 'encrypted' in request.socket
      seen.push(`${isEncrypted ? 'https' : 'http'} ${request.method}`)
      request.resume()
      if (!isEncrypted) response.writeHead(426, { upgrade: 'TLS/1.2, HTTP/1.1' }).end()
      else response.writeHead(request.method === 'POST' ? 202 : 201, { location: '/up' }).end()
    })
    secureConnections(plain, server)
    const host = await listen(plain)
    const file = join(folder, 'loopback.crt')
    await writeFile(file, authority.certificate)
    const trust = createTrust({ hostFolders: [], authorityFiles: [file] })
    const blob = Buffer.from('blob')
    async function* source() {
      yield blob
    }
    const descriptor = { mediaType: 'application/octet-stream', digest: digestOf(blob), size: blob.length }
    await repositoryAt(host, { trust }).write(descriptor, source(), new AbortController().signal)
    assert.deepEqual(seen, ['http POST', 'https POST', 'https PUT'])
  })
})
