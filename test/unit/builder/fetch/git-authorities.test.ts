import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { parseGitReference } from '../../../../src/builder/fetch/git-reference.ts'
import { createSources } from '../../../../src/builder/fetch/sources.ts'
import { createTrust, type Trust } from '../../../../src/remote/trust.ts'
import { startForwardProxy } from '../../../support/forward-proxy.ts'
import { git, serveGit } from '../../../support/git-server.ts'

it('git over https believes whom registries are believed by, goes through the proxy, and leaves no file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-git-tls-'))
  const request =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a.test -addext subjectAltName=DNS:a.test -keyout - -out -'
  const pem = execFileSync('openssl', request.split(' '), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  writeFileSync(join(folder, 'ca.crt'), pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')))
  mkdirSync(join(folder, 'work'))
  writeFileSync(join(folder, 'work/f'), 'x')
  git(join(folder, 'work'), 'init', '--quiet')
  git(join(folder, 'work'), 'add', '.')
  git(join(folder, 'work'), 'commit', '--quiet', '-m', 'first')
  git(folder, 'clone', '--quiet', '--bare', join(folder, 'work'), 'served/app.git')
  await using server = await serveGit(join(folder, 'served'), { tls: { key: pem, cert: pem } })
  await using proxy = await startForwardProxy({ ports: { 'a.test:443': Number(new URL(server.url).port) } })
  const reference = parseGitReference('https://a.test/app.git') ?? assert.fail()
  const { signal } = new AbortController()
  const get = async (trust?: Trust) => {
    await using sources = createSources({
      storeRoot: folder,
      secrets: new Map(),
      ssh: new Map(),
      environment: { PATH: process.env.PATH, HTTPS_PROXY: `http://${proxy.host}` },
      socketDirectory: folder,
      ...(trust !== undefined && { trust }),
    })
    const { id } = await sources.git.resolve(reference, signal)
    await sources.git.open(reference, signal)
    return id
  }
  try {
    const trust = createTrust({ hostFolders: [], authorityFiles: [join(folder, 'ca.crt')] })
    assert.equal(await get(trust), git(join(folder, 'work'), 'rev-parse', 'HEAD'))
    assert.ok(proxy.seen.length > 0)
    assert.ok(proxy.seen.every(line => line === 'CONNECT a.test:443'))
    assert.ok(existsSync(join(folder, 'tmp')))
    assert.deepEqual(readdirSync(join(folder, 'tmp')), [])
    await assert.rejects(get(createTrust({ hostFolders: [], authorityFiles: [] })), {
      code: 'download-failed',
      message: /certificate/,
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
