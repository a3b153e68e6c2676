import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseConfig } from '../../../../src/cli/config/config.ts'

describe('[proxy] of the configuration', () => {
  it('names upstreams, and what else there is to say of them', async () => {
    const text = `
[proxy]
upstreams = ["Index.Docker.IO", "ghcr.io", "registry.lan:5000"]
default = "docker.io"
revalidate = "30m"
size = "2g"

[proxy.credentials."docker.io"]
username = "me"
password-file = "hub"

[proxy.credentials."ghcr.io"]
username = "me"
password = "p"
realm = "tokens.example"
`
    const { proxy } = await parseConfig(text, '/etc/slipway/slipway.toml')
    assert.deepEqual(proxy, {
      hosts: ['docker.io', 'ghcr.io', 'registry.lan:5000'],
      defaultHost: 'docker.io',
      revalidateMs: 30 * 60_000,
      maxBytes: 2 * 1024 ** 3,
      credentials: new Map<string, unknown>([
        ['docker.io', { username: 'me', password: { file: '/etc/slipway/hub' } }],
        ['ghcr.io', { username: 'me', password: { text: 'p' }, realm: 'tokens.example' }],
      ]),
    })
  })

  it('pulls through from nowhere, has no default and no limit, unless it says so', async () => {
    const { proxy } = await parseConfig('[proxy]\n', 'f')
    assert.deepEqual(proxy, { hosts: [], revalidateMs: 3_600_000, credentials: new Map() })
    assert.equal((await parseConfig('', 'f')).proxy, undefined)
  })

  it('takes credentials for the mirror of an upstream', async () => {
    const text = `
[registry."other.lan"]
mirrors = ["http://other.lan:5000/path"]
[proxy]
upstreams = ["other.lan"]
[proxy.credentials."other.lan:5000"]
username = "me"
password = "p"
`
    const { proxy } = await parseConfig(text, 'f')
    assert.deepEqual([...(proxy?.credentials.keys() ?? [])], ['other.lan:5000'])
  })

  const wrong = [
    [
      'an upstream that is no host',
      'upstreams = ["docker.io", "hub"]',
      /f:2: proxy\.upstreams holds "hub": want the host/,
    ],
    ['an upstream with a scheme', 'upstreams = ["https://ghcr.io"]', /want the host of a registry/],
    [
      'a default that is no upstream',
      'default = "quay.io"',
      /f:2: proxy\.default names quay\.io, which is not one/,
    ],
    ['a time that is none', 'revalidate = "often"', /f:2: proxy\.revalidate must be a time/],
    ['a size that is none', 'size = "much"', /f:2: proxy\.size must be a size/],
    [
      'half a credential',
      '[proxy.credentials."ghcr.io"]\nusername = "me"',
      /f:2: .* must have a username, and either/,
    ],
    [
      'two passwords',
      '[proxy.credentials."ghcr.io"]\nusername = "me"\npassword = "a"\npassword-file = "b"',
      /either a password or a password-file/,
    ],
    [
      'credentials for a host that is not asked',
      'upstreams = ["docker.io"]\n[proxy.credentials."ghcr.io"]\nusername = "me"\npassword = "a"',
      /f:3: .* are for ghcr\.io, which is not one of the upstreams, nor a mirror/,
    ],
    [
      'an unknown key',
      'upstream = ["docker.io"]',
      /f:2: proxy\.upstream is not a known key; the nearest is upstreams/,
    ],
  ] as const
  for (const [name, text, message] of wrong)
    it(`refuses ${name}, naming file and line`, async () => {
      await assert.rejects(parseConfig(`[proxy]\n${text}`, 'f'), { code: 'config-invalid-file', message })
    })
})
