import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  countedAddress,
  createFindClientAddress,
  isAddressOrNetwork,
} from '../../../../src/registry/auth/client-address.ts'

describe('createFindClientAddress()', () => {
  const rows: readonly (readonly [
    what: string,
    trusted: readonly string[],
    address: string,
    forwarded: string | undefined,
    client: string,
  ])[] = [
    ['takes the connection', [], '10.0.0.1', undefined, '10.0.0.1'],
    ['does not believe anyone', [], '10.0.0.1', '1.2.3.4', '10.0.0.1'],
    ['believes a proxy', ['10.0.0.0/8'], '10.0.0.1', '1.2.3.4', '1.2.3.4'],
    [
      'believes what the proxy has added, not what came before',
      ['10.0.0.1'],
      '10.0.0.1',
      '6.6.6.6, 1.2.3.4',
      '1.2.3.4',
    ],
    ['goes through a chain of proxies', ['10.0.0.0/8'], '10.0.0.1', '6.6.6.6, 1.2.3.4, 10.0.0.7', '1.2.3.4'],
    ['stops at what is no address', ['10.0.0.0/8'], '10.0.0.1', '1.2.3.4, unknown', '10.0.0.1'],
    ['reads IPv4 on a socket for both', ['127.0.0.1'], '::ffff:127.0.0.1', '1.2.3.4', '1.2.3.4'],
    ['reads addresses with ports', ['::1'], '::1', '[2001:db8::1]:443', '2001:db8::1'],
  ]
  for (const [what, trusted, address, forwarded, client] of rows)
    it(what, () => {
      const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
      assert.equal(createFindClientAddress(trusted)({ address, headers }), client)
    })
})

describe('countedAddress()', () => {
  it('counts a network of IPv6 as one', () => {
    assert.equal(countedAddress('192.0.2.1'), '192.0.2.1')
    assert.equal(countedAddress('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
    assert.equal(countedAddress('2001:DB8:0001::9'), '2001:db8:1:0::/64')
    assert.equal(countedAddress('::1'), '0:0:0:0::/64')
  })
})

describe('isAddressOrNetwork()', () => {
  it('tells', () => {
    for (const good of ['127.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8'])
      assert.equal(isAddressOrNetwork(good), true)
    for (const bad of ['', 'host', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/8/8', '::/129'])
      assert.equal(isAddressOrNetwork(bad), false, bad)
  })
})
