import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Arguments } from '../../../../src/cli/arguments.ts'
import { readStepOptions, withNetwork } from '../../../../src/cli/build/step-options.ts'
import { fakeTerminal } from '../fake-terminal.ts'

const refuse = (problem: string): Error => new Error(problem)

function read(values: Readonly<Record<string, string | readonly string[]>>) {
  const given = Object.entries(values).map(([name, value]) => [name, [value].flat()] as const)
  return readStepOptions(new Arguments([], new Map(given)), fakeTerminal(), refuse)
}

describe('readStepOptions()', () => {
  it('leaves what host-gateway is to the network of the step', () => {
    const { extraHosts } = read({ 'add-host': ['a:host-gateway', 'b=192.0.2.1', 'c:[2001:db8::1]'] })
    assert.deepEqual(extraHosts, ['a:host-gateway', 'b:192.0.2.1', 'c:2001:db8::1'])
    assert.equal(read({}).dns, undefined)
  })

  it('reads what is asked for names', () => {
    const { dns } = read({
      dns: ['192.0.2.1', '2001:db8::1'],
      'dns-search': 'a.example',
      'dns-option': 'rotate',
    })
    assert.deepEqual(dns, {
      servers: ['192.0.2.1', '2001:db8::1'],
      search: ['a.example'],
      options: ['rotate'],
    })
  })

  it('refuses what would be more than a word of resolv.conf', () => {
    assert.throws(() => read({ dns: 'resolver.example' }), /--dns is an IP address/)
    assert.throws(() => read({ 'dns-search': 'a\nnameserver 192.0.2.66' }), /words of resolv\.conf/)
    assert.throws(() => read({ 'dns-option': '' }), /words of resolv\.conf/)
  })
})

describe('withNetwork()', () => {
  it('takes the network of the configuration, which allows what it names', () => {
    const options = { network: 'default', allow: new Set([]) } as const
    assert.deepEqual(withNetwork(options, {}), options)
    assert.deepEqual(withNetwork(options, { network: 'none' }), { network: 'none', allow: new Set() })
    const host = withNetwork(options, { network: 'host' })
    assert.deepEqual([host.network, ...host.allow], ['host', 'network.host'])
  })
})
