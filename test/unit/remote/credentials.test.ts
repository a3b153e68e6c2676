import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { dockerCredentials } from '../../../src/remote/credentials.ts'

const { signal } = new AbortController()

async function directoryWith(
  t: TestContext,
  config: unknown,
  helpers: Readonly<Record<string, string>> = {},
) {
  const directory = await mkdtemp(join(tmpdir(), 'slipway-credentials-'))
  t.after(() => rm(directory, { recursive: true }))
  if (config !== undefined)
    await writeFile(
      join(directory, 'config.json'),
      typeof config === 'string' ? config : JSON.stringify(config),
    )
  for (const [name, script] of Object.entries(helpers))
    await writeFile(join(directory, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return { files: [join(directory, 'config.json')], env: { PATH: `${directory}:/usr/bin:/bin` } }
}

const auth = Buffer.from('alice:pa:ss').toString('base64')
const alice = { kind: 'password', username: 'alice', password: 'pa:ss' }

describe('dockerCredentials() reads config.json', () => {
  const rows: readonly [string, unknown, string, unknown][] = [
    ['no file', undefined, 'ghcr.io', undefined],
    ['a host', { auths: { 'ghcr.io': { auth } } }, 'ghcr.io', alice],
    ['a host with a port', { auths: { 'lan:5000': { auth } } }, 'lan:5000', alice],
    ['another host', { auths: { 'ghcr.io': { auth } } }, 'evil-ghcr.io', undefined],
    ['the URL of an old client', { auths: { 'https://ghcr.io/v1/': { auth } } }, 'ghcr.io', alice],
    ['Docker Hub', { auths: { 'https://index.docker.io/v1/': { auth } } }, 'docker.io', alice],
    ['user and password', { auths: { x: { username: 'alice', password: 'pa:ss' } } }, 'x', alice],
    [
      'an identity token',
      { auths: { x: { auth, identitytoken: 't' } } },
      'x',
      { kind: 'identity-token', token: 't' },
    ],
    [
      'a registry token',
      { auths: { x: { registrytoken: 't' } } },
      'x',
      { kind: 'registry-token', token: 't' },
    ],
    ['an empty entry, as a credsStore leaves it', { auths: { x: {} } }, 'x', undefined],
    ['a helper that is not installed', { credsStore: 'nowhere', auths: { x: { auth } } }, 'x', alice],
  ]
  for (const [name, config, host, want] of rows) {
    test(name, async t => {
      const options = await directoryWith(t, config)
      assert.deepEqual(await dockerCredentials(options).get(host, signal), want)
    })
  }
  for (const config of [
    'not json',
    '[]',
    { auths: { x: { auth: 'bm9jb2xvbg==' } } },
    { credsStore: '../x' },
  ]) {
    test(`refuses ${JSON.stringify(config)}`, async t => {
      const options = await directoryWith(t, config)
      await assert.rejects(dockerCredentials(options).get('x', signal), { code: 'credentials-invalid' })
    })
  }
})

test('dockerCredentials() asks the first file that knows the registry', async t => {
  const bob = Buffer.from('bob:1').toString('base64')
  const { files: first } = await directoryWith(t, { auths: { x: { auth } } })
  const { files: second } = await directoryWith(t, { auths: { x: { auth: bob }, y: { auth: bob } } })
  const { get } = dockerCredentials({ files: ['/no/such/auth.json', ...first, ...second] })
  assert.deepEqual(await get('x', signal), alice)
  assert.deepEqual(await get('y', signal), { kind: 'password', username: 'bob', password: '1' })
  assert.equal(await get('z', signal), undefined)
})

describe('dockerCredentials() asks helpers', () => {
  const config = { credHelpers: { 'ghcr.io': 'one' }, credsStore: 'all' }
  const answer = (user: string) => `read server; printf '{"Username":"${user}","Secret":"for %s"}' "$server"`

  test('by registry, else the one for all', async t => {
    const options = await directoryWith(t, config, { one: answer('bob'), all: answer('<token>') })
    assert.deepEqual(await dockerCredentials(options).get('ghcr.io', signal), {
      kind: 'password',
      username: 'bob',
      password: 'for ghcr.io',
    })
    assert.deepEqual(await dockerCredentials(options).get('docker.io', signal), {
      kind: 'identity-token',
      token: 'for https://index.docker.io/v1/',
    })
  })

  test('and takes "not found" for anonymous', async t => {
    const all = 'echo credentials not found in native keychain; exit 1'
    const options = await directoryWith(t, config, { all })
    assert.equal(await dockerCredentials(options).get('x', signal), undefined)
  })

  const broken: readonly [string, string][] = [
    ['fails', 'echo locked; exit 1'],
    ['says nothing', 'true'],
    ['says too much', 'yes'],
    ['hangs', 'exec sleep 60'],
  ]
  for (const [name, all] of broken) {
    test(`and refuses one that ${name}`, async t => {
      const options = await directoryWith(t, config, { all })
      const helperTimeoutMs = name === 'hangs' ? 100 : 30_000
      await assert.rejects(dockerCredentials({ ...options, helperTimeoutMs }).get('x', signal), {
        code: 'credentials-invalid',
      })
    })
  }

  test('until the signal ends it', async t => {
    const options = await directoryWith(t, config, { all: 'exec sleep 60' })
    const reason = new Error('enough')
    const asking = new AbortController()
    const asked = dockerCredentials(options).get('x', asking.signal)
    setImmediate(() => asking.abort(reason))
    await assert.rejects(asked, reason)
  })
})
