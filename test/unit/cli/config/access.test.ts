import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { command as serve } from '../../../../src/cli/commands/serve.ts'
import { loadSettings, parseConfig, type Settings } from '../../../../src/cli/config/config.ts'
import { parseArguments } from '../../../../src/cli/parse-arguments.ts'
import { fakeTerminal } from '../fake-terminal.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-config-access-'))
})
after(() => rm(folder, { recursive: true }))

async function load(text: string): Promise<Settings> {
  const path = join(folder, 'slipway.toml')
  await writeFile(path, text)
  const args = parseArguments(serve, ['--config', path, '--root', '/store'])
  return loadSettings(args, fakeTerminal({ workingDirectory: folder }))
}

describe('[access] and [limits]', () => {
  it('leave everything open where they are not there', async () => {
    const { access, limits, trustedProxies } = await load('')
    assert.equal(access.isConfigured, false)
    assert.equal(access.usersFile, '/store/users.htpasswd')
    assert.deepEqual(limits, { requestsPerMinute: 0, failedLoginsPerMinute: 20 })
    assert.deepEqual(trustedProxies, [])
  })

  it('are read, and a relative file of users starts at the folder of the configuration', async () => {
    const { access, limits, trustedProxies } = await load(`
[serve]
trusted-proxies = ["127.0.0.1", "fd00::/8"]
[access]
users = "users"
catalog = ["anonymous"]
[access.groups]
developers = ["anna", "ben"]
[access.repositories."team/**"]
"@developers" = ["push", "delete"]
anonymous = ["pull"]
[access.repositories."\${user}/**"]
"*" = ["*"]
[limits]
requests-per-minute = 600
failed-logins-per-minute = 0
`)
    assert.equal(access.isConfigured, true)
    assert.equal(access.usersFile, join(folder, 'users'))
    assert.deepEqual(Object.keys(access.rights.repositories ?? {}), ['team/**', '${' + 'user}/**'])
    assert.deepEqual(access.rights.catalog, ['anonymous'])
    assert.deepEqual(limits, { requestsPerMinute: 600, failedLoginsPerMinute: 0 })
    assert.deepEqual(trustedProxies, ['127.0.0.1', 'fd00::/8'])
  })

  const rows: readonly (readonly [what: string, text: string, message: RegExp])[] = [
    [
      'a pattern that is none',
      '[access.repositories."Team/**"]\nanna = ["pull"]',
      /f:1: access\.repositories\.Team\/\*\* may hold/,
    ],
    [
      'an action that is none',
      '[access.repositories."a"]\nanna = ["read"]',
      /f:2: access\.repositories\.a\.anna has "read"/,
    ],
    [
      'a group that is not there',
      '[access.repositories."a"]\n"@x" = ["pull"]',
      /f:2: access\.repositories\.a\.@x is not a group/,
    ],
    ['a word for a list', '[access.repositories."a"]\nanna = "pull"', /must be a list of strings/],
    ['a negative limit', '[limits]\nrequests-per-minute = -1', /f:2: .* must be a whole number/],
    ['a proxy that is no address', '[serve]\ntrusted-proxies = ["proxy"]', /f:2: .* has "proxy"/],
  ]
  for (const [what, text, message] of rows)
    it(`name ${what}`, async () => {
      await assert.rejects(parseConfig(text, 'f'), { code: 'config-invalid-file', message })
    })
})
