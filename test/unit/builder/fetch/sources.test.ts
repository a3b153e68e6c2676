import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { createSources } from '../../../../src/builder/fetch/sources.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { createTrust, type Trust } from '../../../../src/remote/trust.ts'

it('createSources() downloads from servers whose authorities are trusted, and from no others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-sources-'))
  mkdirSync(join(folder, 'tmp'))
  const request =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout - -out -'
  const pem = execFileSync('openssl', request.split(' '), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const authority = join(folder, 'ca.crt')
  writeFileSync(authority, pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')))
  const server = https.createServer({ key: pem, cert: pem }, (_, response) => response.end('content'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = new URL(`https://localhost:${(server.address() as AddressInfo).port}/f`)
  const { signal } = new AbortController()
  const get = async (trust?: Trust) => {
    await using sources = createSources({
      storeRoot: folder,
      secrets: new Map(),
      ssh: new Map(),
      environment: {},
      socketDirectory: folder,
      ...(trust !== undefined && { trust }),
    })
    return (await sources.downloads.get(url, 'sha256', signal)).digest
  }
  try {
    const trust = createTrust({ hostFolders: [], authorityFiles: [authority] })
    assert.equal(await get(trust), digestOf('content'))
    await assert.rejects(get(), { code: 'tls-failed' })
  } finally {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  }
})
