import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { command as serve } from '../../../src/cli/commands/serve.ts'
import { type ServeConfig, serveSettings } from '../../../src/cli/config-serve.ts'
import { parseArguments } from '../../../src/cli/parse-arguments.ts'
import { trustInstructions } from '../../../src/cli/trust-instructions.ts'
import { fakeTerminal } from './fake-terminal.ts'

function settings(argv: readonly string[], config: ServeConfig = {}, env: Record<string, string> = {}) {
  return serveSettings({
    args: parseArguments(serve, argv),
    terminal: fakeTerminal({ env, workingDirectory: '/work dir' }),
    config,
    directory: '/etc/slipway',
  })
}

describe('serveSettings()', () => {
  it('is plain HTTP with a log unless told otherwise', () => {
    assert.deepEqual(settings([]), { tls: { kind: 'off' }, log: 'text', drainMs: 10_000 })
  })

  it('takes flags before variables before the file', () => {
    const config = { log: 'off', drain: '1m', tls: { auto: true, names: ['registry.lan'] } }
    const env = { SLIPWAY_LOG: 'json', SLIPWAY_DRAIN: '2m', SLIPWAY_TLS: 'off' }
    assert.deepEqual(settings([], config), {
      tls: { kind: 'auto', names: ['registry.lan'] },
      log: 'off',
      drainMs: 60_000,
    })
    assert.deepEqual(settings([], config, env), { tls: { kind: 'off' }, log: 'json', drainMs: 120_000 })
    assert.deepEqual(settings(['--log', 'text', '--drain', '0', '--tls', 'auto'], config, env), {
      tls: { kind: 'auto', names: ['registry.lan'] },
      log: 'text',
      drainMs: 0,
    })
  })

  it("starts files at the flag's working directory, and at the file's folder", () => {
    assert.deepEqual(settings(['--tls', 'a.crt,/b.key']).tls, {
      kind: 'files',
      certificatePath: '/work dir/a.crt',
      keyPath: '/b.key',
    })
    assert.deepEqual(settings([], { tls: { cert: 'a.crt', key: 'b.key' } }).tls, {
      kind: 'files',
      certificatePath: '/etc/slipway/a.crt',
      keyPath: '/etc/slipway/b.key',
    })
  })

  const refused: [string, readonly string[], ServeConfig, RegExp][] = [
    ['a log of another form', ['--log', 'xml'], {}, /json, text or off/],
    ['a drain that is no time', ['--drain', 'soon'], {}, /--drain is a time/],
    ['a certificate without a key', ['--tls', 'a.crt'], {}, /auto, off, or CERT,KEY/],
    ['three files', ['--tls', 'a,b,c'], {}, /auto, off, or CERT,KEY/],
    ['a certificate without a key in the file', [], { tls: { cert: 'a' } }, /both cert and key/],
    ['files and an authority', [], { tls: { auto: true, cert: 'a', key: 'b' } }, /either auto/],
    [
      'a name that is none',
      [],
      { tls: { auto: true, names: ['a b'] } },
      /neither a host name nor an address/,
    ],
  ]
  for (const [name, argv, config, message] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => settings(argv, config), { message })
    })
  }
})

describe('trustInstructions()', () => {
  it('names the folder of each client, the URL and the fingerprint', () => {
    const text = trustInstructions({ fingerprint: 'AA:BB' }, 'server:5000')
    for (const folder of ['docker', 'containers', 'containerd'])
      assert.ok(text.includes(`/etc/${folder}/certs.d/server:5000/ca.crt http://server:5000/ca.crt`), text)
    assert.match(text, /AA:BB/)
  })

  it('makes a file name of an IPv6 address', () => {
    assert.match(trustInstructions({ fingerprint: '' }, '[fd00::1]:5000'), /slipway-fd00-1-5000\.crt/)
  })
})
