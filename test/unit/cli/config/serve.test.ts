import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { command as serve } from '../../../../src/cli/commands/serve.ts'
import { parseConfig } from '../../../../src/cli/config/config.ts'
import { type ServeConfig, serveSettings } from '../../../../src/cli/config/serve.ts'
import { parseArguments } from '../../../../src/cli/parse-arguments.ts'
import { trustInstructions } from '../../../../src/cli/serve/trust-instructions.ts'
import { fakeTerminal } from '../fake-terminal.ts'

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
    ['names of a certificate that is not to be', [], { tls: { names: ['a.lan'] } }, /auto = true/],
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

describe('[serve] and [gc] of the file', () => {
  const rows: readonly (readonly [lines: string, want: RegExp])[] = [
    ['[serve]\nlog = "xml"', /:2: serve\.log is "xml", want json, text or off/],
    ['[serve]\nlisten = "a:1"\ndrain = "10"', /:3: serve\.drain is "10", want a time/],
    ['[serve]\ntls.cert = "a"', /:2: serve\.tls .*both cert and key/],
    ['[serve.tls]\nauto = true\ncert = "a"\nkey = "b"', /:1: serve\.tls .*either auto/],
    ['[serve.tls]\nauto = true\nnames = ["a b"]', /:3: serve\.tls\.names has "a b", which is neither/],
    ['[gc]\nevery = "sometimes"', /:2: gc\.every is "sometimes", want a time such as 1h, or off/],
    ['[gc]\nevery = "1h"\ngrace = "off"', /:3: gc\.grace is "off", want a time such as 24h/],
  ]
  for (const [lines, want] of rows)
    it(`names the line of what is wrong in ${JSON.stringify(lines)}`, async () => {
      await assert.rejects(parseConfig(lines, 'slipway.toml'), want)
    })
})
