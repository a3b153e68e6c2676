import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { authorityCertificatePath, openAuthority } from '../../../../src/registry/tls/authority.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-authority-'))
})
after(() => rm(folder, { recursive: true }))

const NOW = Date.UTC(2030, 0, 1)
const open = (name: string, now = NOW) =>
  openAuthority({ root: join(folder, name), hostName: 'machine', now: () => now })

describe('openAuthority()', () => {
  it('makes one that only its owner can use, and finds it again', async () => {
    const first = await open('again')
    const again = await open('again', NOW + 1000)
    assert.equal(again.certificate, first.certificate)
    assert.match(first.name, /^Slipway CA [0-9a-f]{8} on machine$/)
    assert.match(first.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
    const { mode } = await stat(join(folder, 'again/tls/ca.pem'))
    assert.equal(mode & 0o777, 0o600)
  })

  it('keeps the certificate for clients without the key', async () => {
    const { certificate, fingerprint } = await open('copy')
    const path = authorityCertificatePath(join(folder, 'copy'))
    assert.equal(await readFile(path, 'utf8'), certificate)
    assert.equal(new X509Certificate(certificate).fingerprint256, fingerprint)
    assert.doesNotMatch(certificate, /PRIVATE/)
    await rm(path)
    await open('copy')
    assert.equal(await readFile(path, 'utf8'), certificate)
  })

  it('is the same for all who make it at once, and leaves nothing beside it', async () => {
    const all = await Promise.all(Array.from({ length: 12 }, () => open('race')))
    assert.equal(new Set(all.map(({ certificate }) => certificate)).size, 1)
    assert.deepEqual((await readdir(join(folder, 'race/tls'))).sort(), ['ca.crt', 'ca.pem'])
  })

  it('refuses a damaged file and says what to do', async () => {
    await open('damaged')
    const path = join(folder, 'damaged/tls/ca.pem')
    const text = await readFile(path, 'utf8')
    const other = await readFile(join(folder, 'race/tls/ca.crt'), 'utf8')
    const cases = ['', 'no PEM', text.slice(0, 300), text.slice(0, text.indexOf('-----BEGIN CERT')) + other]
    for (const broken of cases) {
      await writeFile(path, broken)
      await assert.rejects(open('damaged'), error => {
        assert.ok(error instanceof Error && 'code' in error && 'hint' in error)
        assert.equal(error.code, 'tls-invalid')
        assert.match(String(error.hint), /remove .*ca\.pem/)
        assert.ok(!error.message.includes('PRIVATE'))
        return true
      })
    }
  })

  it('refuses one that has expired', async () => {
    await open('expired')
    await assert.rejects(open('expired', NOW + 30 * 365 * 24 * 3600 * 1000), {
      code: 'tls-invalid',
      message: /expired/,
    })
  })
})
