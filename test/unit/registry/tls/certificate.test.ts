import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, it } from 'node:test'
import { makeAuthority, makeServerCertificate } from '../../../../src/registry/tls/certificate.ts'

const DAY = 24 * 60 * 60 * 1000
const NOW = Date.UTC(2030, 5, 1, 12, 0, 0)

function signedFor(hosts: readonly string[], until = NOW + 90 * DAY) {
  const authority = makeAuthority('Test CA', { from: NOW - DAY, until: NOW + 365 * DAY })
  const server = makeServerCertificate({
    name: 'server',
    hosts,
    validity: { from: NOW - DAY, until },
    authority: { name: 'Test CA', key: createPrivateKey(authority.key) },
  })
  return {
    authority: new X509Certificate(authority.certificate),
    server: new X509Certificate(server.certificate),
    key: createPrivateKey(server.key),
  }
}

describe('makeServerCertificate()', () => {
  it('is signed by the authority, which signed itself', () => {
    const { authority, server, key } = signedFor(['server'])
    assert.ok(authority.ca)
    assert.ok(authority.verify(authority.publicKey))
    assert.ok(!server.ca)
    assert.ok(server.verify(authority.publicKey))
    assert.ok(server.checkIssued(authority))
    assert.ok(server.checkPrivateKey(key))
    assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  })

  it('names hosts and addresses of both kinds, and no others', () => {
    const { server } = signedFor([
      'server',
      'server.example',
      '192.0.2.7',
      '::1',
      'fd00::2:1',
      '::ffff:192.0.2.9',
    ])
    for (const name of ['server', 'server.example']) assert.equal(server.checkHost(name), name)
    assert.equal(server.checkHost('other.example'), undefined)
    for (const address of ['192.0.2.7', '::1', 'fd00::2:1', '::ffff:c000:209'])
      assert.ok(server.checkIP(address), address)
    assert.equal(server.checkIP('192.0.2.8'), undefined)
    assert.equal(server.checkIP('fd00::2:2'), undefined)
  })

  it('holds as many names as a host may have', () => {
    const hosts = Array.from({ length: 200 }, (_, index) => `host-${index}.a-long-domain.example`)
    const { server, authority } = signedFor(hosts)
    assert.ok(server.verify(authority.publicKey))
    assert.equal(server.checkHost('host-199.a-long-domain.example'), 'host-199.a-long-domain.example')
  })

  const times: [string, number, string][] = [
    ['to the second', Date.UTC(2031, 0, 2, 3, 4, 5), 'Jan  2 03:04:05 2031 GMT'],
    ['the last that UTCTime can say', Date.UTC(2049, 11, 31, 23, 59, 59), 'Dec 31 23:59:59 2049 GMT'],
    ['the first that it cannot', Date.UTC(2050, 0, 1), 'Jan  1 00:00:00 2050 GMT'],
  ]
  for (const [name, until, text] of times) {
    it(`says until when it holds: ${name}`, () => {
      assert.equal(signedFor(['server'], until).server.validTo, text)
    })
  }

  it('has a serial number of its own each time, never negative', () => {
    const serials = Array.from({ length: 40 }, () => signedFor(['server']).server.serialNumber)
    assert.equal(new Set(serials).size, 40)
    for (const serial of serials) assert.match(serial, /^[0-9A-F]{26,32}$/)
  })
})
