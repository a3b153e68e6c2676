/** `slipway user` and `slipway token` as functions, over a store and a file of their own. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { compareSync } from 'bcryptjs'
import type { Command } from '../../../src/cli/command.ts'
import { command as token } from '../../../src/cli/commands/token.ts'
import { command as user } from '../../../src/cli/commands/user.ts'
import { parseArguments } from '../../../src/cli/parse-arguments.ts'
import { askPassword } from '../../../src/cli/password-input.ts'
import { type FakeTerminal, fakeTerminal } from './fake-terminal.ts'

interface Shell {
  readonly users: string
  run(command: Command, argv: readonly string[], input?: string): Promise<FakeTerminal>
}

function openShell(test: TestContext): Shell {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-user-'))
  test.after(() => rmSync(folder, { recursive: true }))
  const env = { XDG_CONFIG_HOME: join(folder, 'none'), SLIPWAY_ROOT: join(folder, 'store') }
  return {
    users: join(folder, 'store', 'users.htpasswd'),
    async run(command, argv, input = '') {
      const stdin = Object.assign(Readable.from(input === '' ? [] : [Buffer.from(input)]), { isTTY: false })
      const terminal = fakeTerminal({ env, workingDirectory: folder, stdin })
      await command.run(parseArguments(command, argv), terminal)
      return terminal
    },
  }
}

describe('slipway user', () => {
  it('adds, changes, lists and removes users, in a file that others cannot read', async test => {
    const { run, users } = openShell(test)
    const added = await run(user, ['add', 'anna', '--password-stdin'], 'first\n')
    assert.match(added.stdout.text, /^added anna in /)
    assert.match(added.stderr.text, /wants a login from now on/)
    assert.equal(statSync(users).mode & 0o777, 0o600)
    const hashOf = (): string => /^anna:(.*)$/m.exec(readFileSync(users, 'utf8'))?.[1] ?? ''
    assert.equal(compareSync('first', hashOf()), true)

    assert.equal((await run(user, ['add', 'ben', '--password-stdin'], 'b')).stderr.text, '')
    chmodSync(users, 0o640)
    assert.match(
      (await run(user, ['add', 'anna', '--password-stdin'], 'second\r\n')).stdout.text,
      /^new password/,
    )
    assert.equal(compareSync('second', hashOf()), true)
    assert.equal(statSync(users).mode & 0o777, 0o640)
    assert.match((await run(user, ['list'])).stdout.text, /NAME +GROUPS\nanna .*\nben /)
    await run(user, ['remove', 'anna'])
    assert.doesNotMatch(readFileSync(users, 'utf8'), /anna/)
    assert.equal(existsSync(`${users}.new`), false)
    await assert.rejects(run(user, ['remove', 'anna']), { code: 'user-missing' })
  })

  it('tells what a user may do', async test => {
    const { run } = openShell(test)
    await run(user, ['add', 'anna', '--password-stdin'], 'x')
    assert.match((await run(user, ['rights', 'anna', 'app'])).stdout.text, /push +yes +"\*\*": \* \*/)
    assert.match((await run(user, ['rights', 'anonymous', 'app'])).stdout.text, /pull +no/)
    await assert.rejects(run(user, ['rights', 'ben', 'app']), { code: 'user-missing' })
  })

  for (const [what, password] of [
    ['empty ones', ''],
    ['such as bcrypt would cut', 'é'.repeat(37)],
    ['such with a NUL', 'a\0b'],
    ['such as tokens look', 'slipway_abc'],
  ] as const)
    it(`refuses passwords: ${what}`, async test => {
      const { run, users } = openShell(test)
      await assert.rejects(run(user, ['add', 'anna', '--password-stdin'], password), {
        code: 'usage',
        message: /^Cannot set password/,
      })
      assert.equal(existsSync(users), false)
    })

  for (const argv of [
    ['add'],
    ['ad', 'x'],
    ['list', 'x'],
    ['add', 'a:b'],
    ['add', 'a b'],
    ['add', 'anonymous'],
    ['add', '@x'],
  ])
    it(`refuses: user ${argv.join(' ')}`, async test => {
      await assert.rejects(openShell(test).run(user, [...argv, '--password-stdin'], 'x'), { code: 'usage' })
    })

  it('gives another password to a user whose hash is not taken any more', async test => {
    const { run, users } = openShell(test)
    await run(user, ['add', 'ben', '--password-stdin'], 'b')
    writeFileSync(users, 'anna:$apr1$old$hash\n')
    await assert.rejects(run(user, ['list']), { code: 'users-invalid' })
    await run(user, ['add', 'anna', '--password-stdin'], 'new')
    assert.match((await run(user, ['list'])).stdout.text, /anna/)
  })

  it('lets nobody write who finds another at it', async test => {
    const { run, users } = openShell(test)
    await run(user, ['add', 'anna', '--password-stdin'], 'x')
    writeFileSync(`${users}.new`, 'of somebody else')
    await assert.rejects(run(user, ['add', 'ben', '--password-stdin'], 'x'), /somebody else changes it/)
    assert.equal(readFileSync(`${users}.new`, 'utf8'), 'of somebody else')
  })
})

describe('slipway token', () => {
  it('creates a token that is shown once, lists and revokes it', async test => {
    const { run } = openShell(test)
    const made = await run(token, [
      'create',
      '--name',
      'ci',
      '--allow',
      'push:team/**',
      '--allow',
      'pull,delete:x',
    ])
    assert.match(made.stdout.text, /^slipway_[A-Za-z0-9]{16}_[A-Za-z0-9]{43}\n$/)
    assert.match(made.stderr.text, /ends 1970-04-01 00:00 UTC/)
    const list = await run(token, ['list'])
    assert.match(list.stdout.text, /ci +push:team\/\*\* pull,delete:x +1970-04-01 00:00 UTC +never/)
    assert.ok(!list.stdout.text.includes(made.stdout.text.trim().slice(-20)))
    await assert.rejects(run(token, ['create', '--name', 'ci', '--allow', 'pull:x']), {
      code: 'token-exists',
    })
    await run(token, ['revoke', 'robot$ci'])
    await assert.rejects(run(token, ['revoke', 'ci']), { code: 'token-missing' })
    const forever = ['create', '--name', 'ci', '--allow', '*:**', '--expires', 'never']
    assert.match((await run(token, forever)).stderr.text, /never ends/)
  })

  for (const argv of [
    ['create'],
    ['create', '--name', 'ci'],
    ['create', '--name', 'a b', '--allow', 'pull:x'],
    ['create', '--name', 'ci', '--allow', 'pull'],
    ['create', '--name', 'ci', '--allow', 'read:x'],
    ['create', '--name', 'ci', '--allow', 'pull:X'],
    ['create', '--name', 'ci', '--allow', 'pull:x', '--expires', '0'],
    ['create', '--name', 'ci', '--allow', 'pull:x', '--expires', 'soon'],
    ['create', 'ci', '--allow', 'pull:x'],
    ['list', '--name', 'x'],
    ['revoke'],
    ['remove', 'x'],
  ])
    it(`refuses: token ${argv.join(' ')}`, async test => {
      await assert.rejects(openShell(test).run(token, argv), { code: 'usage' })
    })
})

describe('askPassword()', () => {
  function typing(...keys: readonly string[]) {
    const modes: boolean[] = []
    const stdin = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (raw: boolean) => modes.push(raw),
    })
    for (const key of keys) stdin.write(key)
    return { terminal: fakeTerminal({ stdin }), modes }
  }

  it('shows nothing of what is typed, and leaves the terminal as it was', async () => {
    const { terminal, modes } = typing('sé', 'crex', '\u007f', 't\r')
    assert.equal(await askPassword(terminal, 'Password: '), 'sécret')
    assert.equal(terminal.stderr.text, 'Password: \n')
    assert.deepEqual(modes, [true, false])
  })

  it('is interrupted by Ctrl-C', async () => {
    const { terminal, modes } = typing('abc', '\u0003')
    await assert.rejects(askPassword(terminal, '?'), { code: 'interrupted' })
    assert.deepEqual(modes, [true, false])
  })

  it('says what to do where there is no terminal', async () => {
    await assert.rejects(askPassword(fakeTerminal(), '?'), { code: 'usage', hint: /--password-stdin/ })
  })
})
