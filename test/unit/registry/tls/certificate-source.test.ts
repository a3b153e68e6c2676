import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Authority, openAuthority } from '../../../../src/registry/tls/authority.ts'
import { type CertifiedKey, makeServerCertificate } from '../../../../src/registry/tls/certificate.ts'
import { fromFiles, signedByAuthority } from '../../../../src/registry/tls/certificate-source.ts'

const DAY = 24 * 60 * 60 * 1000
const NOW = Date.UTC(2030, 0, 1)

let folder: string
let authority: Authority
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-source-'))
  authority = await openAuthority({ root: folder, hostName: 'machine', now: () => NOW })
})
after(() => rm(folder, { recursive: true }))

describe('signedByAuthority()', () => {
  function open() {
    const world = { now: NOW, hosts: ['machine', '192.0.2.1'] }
    const source = signedByAuthority({ authority, hosts: async () => world.hosts, now: () => world.now })
    return { world, source }
  }

  it('gives a certificate for the names of now, with the authority behind it', async () => {
    const { source } = open()
    const given = await source.next()
    assert.ok(given)
    assert.equal(given.certificate.match(/BEGIN CERTIFICATE/g)?.length, 2)
    const certificate = new X509Certificate(given.certificate)
    assert.ok(certificate.checkIP('192.0.2.1'))
    assert.ok(certificate.verify(new X509Certificate(authority.certificate).publicKey))
    assert.ok(Date.parse(certificate.validFrom) < NOW)
    assert.equal(await source.next(), undefined)
  })

  it('gives another well before the last one expires', async () => {
    const { world, source } = open()
    const first = new X509Certificate((await source.next())?.certificate ?? '')
    world.now = NOW + 59 * DAY
    assert.equal(await source.next(), undefined)
    world.now = NOW + 61 * DAY
    const second = new X509Certificate((await source.next())?.certificate ?? '')
    assert.ok(Date.parse(second.validTo) > Date.parse(first.validTo) + 50 * DAY)
    assert.equal(await source.next(), undefined)
  })

  it('gives another when the machine gets a new address', async () => {
    const { world, source } = open()
    await source.next()
    world.hosts = ['machine', '192.0.2.77']
    const next = new X509Certificate((await source.next())?.certificate ?? '')
    assert.ok(next.checkIP('192.0.2.77'))
    assert.equal(next.checkIP('192.0.2.1'), undefined)
  })

  it('never outlives its authority', async () => {
    const { world, source } = open()
    world.now = authority.until - 40 * DAY
    const last = new X509Certificate((await source.next())?.certificate ?? '')
    assert.equal(Date.parse(last.validTo), authority.until)
  })
})

describe('fromFiles()', () => {
  function pair(name: string): CertifiedKey {
    return makeServerCertificate({
      name,
      hosts: [name],
      validity: { from: NOW, until: NOW + DAY },
      authority: {
        name: authority.name,
        key: createPrivateKey(authority.key.export({ type: 'pkcs8', format: 'pem' })),
      },
    })
  }

  async function write(name: string, { certificate, key }: CertifiedKey) {
    const paths = { certificatePath: join(folder, `${name}.crt`), keyPath: join(folder, `${name}.key`) }
    await writeFile(paths.certificatePath, certificate)
    await writeFile(paths.keyPath, key)
    return paths
  }

  it('gives what the files hold, and again only when they have changed', async () => {
    const first = pair('one')
    const paths = await write('changed', first)
    const source = fromFiles(paths)
    assert.deepEqual(await source.next(), first)
    assert.equal(await source.next(), undefined)
    const second = pair('another')
    await write('changed', second)
    assert.deepEqual(await source.next(), second)
    assert.equal(await source.next(), undefined)
  })

  it('sees that a link now leads elsewhere', async () => {
    const [first, second] = [pair('one'), pair('two')]
    const [a, b] = [await write('a', first), await write('b', second)]
    const link = async (to: typeof a) => {
      for (const [from, name] of [
        [to.certificatePath, 'live.crt'],
        [to.keyPath, 'live.key'],
      ] as const) {
        await symlink(from, join(folder, `${name}.new`))
        await rename(join(folder, `${name}.new`), join(folder, name))
      }
    }
    await link(a)
    const source = fromFiles({ certificatePath: join(folder, 'live.crt'), keyPath: join(folder, 'live.key') })
    assert.deepEqual(await source.next(), first)
    await link(b)
    assert.deepEqual(await source.next(), second)
  })

  it('refuses a pair that does not fit, and takes it once it does', async () => {
    const [old, fresh] = [pair('old'), pair('fresh')]
    const paths = await write('half', old)
    const source = fromFiles(paths)
    await source.next()
    await writeFile(paths.certificatePath, fresh.certificate)
    await assert.rejects(source.next(), { code: 'tls-invalid', message: /is not that of/ })
    await assert.rejects(source.next(), { code: 'tls-invalid' })
    await writeFile(paths.keyPath, fresh.key)
    assert.deepEqual(await source.next(), fresh)
  })

  it('names the file that is missing or no PEM', async () => {
    const paths = await write('bad', pair('bad'))
    await writeFile(paths.certificatePath, 'nothing')
    await assert.rejects(fromFiles(paths).next(), { code: 'tls-invalid', message: /bad\.crt/ })
    await rm(paths.keyPath)
    await assert.rejects(fromFiles(paths).next(), { code: 'tls-invalid', message: /bad\.key.*ENOENT/ })
  })
})
