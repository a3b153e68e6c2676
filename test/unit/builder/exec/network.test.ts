import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import {
  findNetworkHelpers,
  type HelperCall,
  helperArguments,
} from '../../../../src/builder/exec/network-helper.ts'
import { needsForwarding, resolvConf } from '../../../../src/builder/exec/resolver.ts'
import { networkOfFiles, type StepNetwork } from '../../../../src/builder/exec/step-network.ts'
import { addressOfMachine, chooseSubnet } from '../../../../src/builder/exec/subnet.ts'

const scratch = mkdtempSync(join(tmpdir(), 'slipway-network-'))
after(() => rmSync(scratch, { recursive: true }))
const tunDevice = join(scratch, 'tun')
writeFileSync(tunDevice, '')

describe('findNetworkHelpers()', () => {
  const find = (name: string) => `/bin/${name}`

  it('prefers who keeps no power of root where there is some, and the faster one where there is none', () => {
    const names = (isRealRoot: boolean) => {
      const found = findNetworkHelpers({ find, isRealRoot, tunDevice })
      return typeof found === 'string' ? found : found.map(({ name }) => name)
    }
    assert.deepEqual(names(true), ['slirp4netns', 'pasta'])
    assert.deepEqual(names(false), ['pasta', 'slirp4netns'])
  })

  it('tells what is missing, and which package has it', () => {
    const none = () => undefined
    assert.match(String(findNetworkHelpers({ find: none, isRealRoot: false, tunDevice })), /install passt/)
    const noDevice = { find, isRealRoot: true, tunDevice: join(scratch, 'none') }
    assert.match(String(findNetworkHelpers(noDevice)), /^there is no .*none$/)
  })
})

describe('helperArguments()', () => {
  const call: HelperCall = {
    subnet: chooseSubnet([]),
    namespace: '/run/n',
    ready: '/run/r',
    readyDescriptor: 4,
    forwardsNames: false,
    isRealRoot: true,
  }

  it('keeps steps from the loopback interface of the machine, and from its resolver unless they need it', () => {
    const slirp = { name: 'slirp4netns', program: '' } as const
    const pasta = { name: 'pasta', program: '' } as const
    assert.ok(helperArguments(slirp, call).includes('--disable-host-loopback'))
    assert.ok(helperArguments(slirp, call).includes('--disable-dns'))
    assert.ok(!helperArguments(slirp, { ...call, forwardsNames: true }).includes('--disable-dns'))
    assert.ok(helperArguments(pasta, call).includes('--no-map-gw'))
    assert.ok(!helperArguments(pasta, call).includes('--dns-forward'))
    const forwarding = helperArguments(pasta, { ...call, forwardsNames: true }).join(' ')
    assert.match(forwarding, /--dns-forward 10\.0\.2\.3/)
    // Ports of the namespace and of the machine stay apart.
    assert.match(forwarding, /-t none -u none -T none -U none/)
  })
})

describe('addresses of steps', () => {
  it('are none of those that the machine lives among', () => {
    assert.equal(chooseSubnet(['192.0.2.2', 'fe80::1']).network, '10.0.2.0')
    assert.equal(chooseSubnet(['10.0.2.15']).network, '10.201.43.0')
    assert.equal(chooseSubnet(['10.0.20.15']).network, '10.0.2.0')
  })

  it('find the machine at an address that others know it by', () => {
    const loopback = { address: '127.0.0.1', internal: true }
    const [local, six, four] = ['fe80::1', '2001:db8::1', '192.0.2.2'].map(address => ({
      address,
      internal: false,
    }))
    assert.ok(local && six && four)
    assert.equal(addressOfMachine({ lo: [loopback], eth0: [local, six, four] }), '192.0.2.2')
    assert.equal(addressOfMachine({ lo: [loopback], eth0: [local, six] }), '2001:db8::1')
    assert.equal(addressOfMachine({ lo: [loopback] }), undefined)
  })

  it('find it on loopback where they share its network', () => {
    const network: StepNetwork = { subnet: chooseSubnet([]), hostAddress: '192.0.2.2', isRealRoot: true }
    assert.deepEqual(networkOfFiles(network, { network: 'host' }, undefined), { hostAddress: '127.0.0.1' })
    assert.deepEqual(networkOfFiles(network, { network: 'default' }, undefined), { hostAddress: '127.0.0.1' })
    assert.deepEqual(networkOfFiles(network, { network: 'none' }, undefined), { hostAddress: '192.0.2.2' })
  })
})

describe('resolvConf()', () => {
  const machine = 'domain old\nsearch a.example b.example\nnameserver 192.0.2.53\noptions ndots:3\n'
  const none = { servers: [], search: [], options: [] }

  it('is that of the machine where nothing is said', () => {
    assert.equal(resolvConf(machine, undefined, undefined), machine)
  })

  it('has what is said instead', () => {
    assert.equal(
      resolvConf(machine, { ...none, servers: ['192.0.2.1', '192.0.2.2'] }, undefined),
      'nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch a.example b.example\noptions ndots:3\n',
    )
    assert.equal(
      resolvConf(machine, { servers: [], search: ['c.example'], options: ['ndots:1', 'rotate'] }, undefined),
      'nameserver 192.0.2.53\nsearch c.example\noptions ndots:1 rotate\n',
    )
  })

  it('has who answers for a resolver that only the machine reaches, and nobody beside', () => {
    assert.equal(needsForwarding('nameserver 127.0.0.53\n', undefined), true)
    assert.equal(needsForwarding('nameserver ::1\n', undefined), true)
    assert.equal(needsForwarding('', undefined), true)
    assert.equal(needsForwarding(machine, undefined), false)
    assert.equal(needsForwarding('nameserver 127.0.0.53\n', { ...none, servers: ['192.0.2.1'] }), false)
    assert.equal(
      resolvConf('nameserver 127.0.0.53\nnameserver 192.0.2.9\nsearch a\n', undefined, '10.0.2.3'),
      'nameserver 10.0.2.3\nsearch a\n',
    )
  })
})
