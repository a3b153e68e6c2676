import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { command as serve } from '../../../../src/cli/commands/serve.ts'
import { loadSettings, parseConfig, type Settings } from '../../../../src/cli/config/config.ts'
import type { CliError } from '../../../../src/cli/errors.ts'
import { parseArguments } from '../../../../src/cli/parse-arguments.ts'
import { asOrdinaryUser } from '../../../support/ordinary-user.ts'
import { fakeTerminal } from '../fake-terminal.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-config-'))
})
after(() => rm(folder, { recursive: true }))

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
  return path
}

function load(argv: readonly string[], env: Record<string, string> = {}, userID = 1000): Promise<Settings> {
  const terminal = fakeTerminal({
    env: { XDG_CONFIG_HOME: join(folder, 'none'), ...env },
    workingDirectory: folder,
    userID,
  })
  return loadSettings(parseArguments(serve, argv), terminal)
}

describe('loadSettings()', () => {
  it('takes flags before variables before the file', async () => {
    const config = await file(
      'order.toml',
      'root = "/file"\nserve.listen = "file:1"\nbuild.runtime = "youki"\n',
    )
    const env = { SLIPWAY_ROOT: '/env', SLIPWAY_LISTEN: 'env:1', SLIPWAY_RUNTIME: 'crun' }
    const all = await load(['--config', config, '--root', '/flag', '--listen', 'flag:1'], env)
    assert.equal(all.root, '/flag')
    assert.equal(all.listen, 'flag:1')
    assert.equal(all.runtime, 'crun')
    const noFlags = await load([], { ...env, SLIPWAY_CONFIG: config })
    assert.equal(noFlags.root, '/env')
    assert.equal(noFlags.listen, 'env:1')
    const onlyFile = await load(['--config', config])
    assert.equal(onlyFile.root, '/file')
    assert.equal(onlyFile.listen, 'file:1')
    assert.equal(onlyFile.runtime, 'youki')
  })

  it('finds the file of XDG_CONFIG_HOME by itself', async () => {
    await file('xdg/slipway/slipway.toml', 'root = "/found"\n')
    assert.equal((await load([], { XDG_CONFIG_HOME: join(folder, 'xdg') })).root, '/found')
  })

  it("starts a relative root at the flag's working directory, and at the file's folder", async () => {
    assert.equal((await load(['--root', 'store'])).root, join(folder, 'store'))
    const config = await file('sub/slipway.toml', 'root = "store"\n')
    assert.equal((await load(['--config', config])).root, join(folder, 'sub/store'))
  })

  const roots: readonly (readonly [string, Record<string, string>, number, string])[] = [
    ['a user', {}, 1000, '/home/me/.local/share/slipway'],
    ['a user with XDG_DATA_HOME', { XDG_DATA_HOME: '/data' }, 1000, '/data/slipway'],
    ['root', {}, 0, '/var/lib/slipway'],
    ['root with XDG_DATA_HOME', { XDG_DATA_HOME: '/data' }, 0, '/data/slipway'],
    ['a user with an empty SLIPWAY_ROOT', { SLIPWAY_ROOT: '' }, 1000, '/home/me/.local/share/slipway'],
  ]
  for (const [who, env, userID, root] of roots) {
    it(`keeps the store of ${who} in ${root}`, async () => {
      assert.equal((await load([], env, userID)).root, root)
    })
  }

  it('finds the credentials of Docker', async () => {
    assert.equal((await load([])).dockerConfigDirectory, '/home/me/.docker')
    assert.equal((await load([], { DOCKER_CONFIG: '/dc' })).dockerConfigDirectory, '/dc')
  })

  it('refuses a named file that is missing or a folder, with its name', async () => {
    const missing = join(folder, 'missing.toml')
    await assert.rejects(load(['--config', missing]), {
      code: 'config-unreadable',
      message: `Cannot read ${missing}: there is no such file or directory`,
    })
    await assert.rejects(load([], { SLIPWAY_CONFIG: missing }), { code: 'config-unreadable' })
    await assert.rejects(load(['--config', folder]), {
      code: 'config-unreadable',
      message: `Cannot read ${folder}: it is a directory`,
    })
  })

  it('refuses a file that may not be read', async () => {
    const config = await file('secret.toml', '')
    await chmod(config, 0)
    await asOrdinaryUser(() =>
      assert.rejects(load(['--config', config]), { code: 'config-unreadable', message: /permission denied/ }),
    )
  })
})

describe('parseConfig()', () => {
  it("reads BuildKit's keys of registries, quoted, dotted and inline", async () => {
    const text = `
[registry."docker.io"]
mirrors = ["127.0.0.1:5998"]
[registry.'127.0.0.1:5998']
http = true
[registry]
"x.org".insecure = true
localhost = { http = false }
`
    const { registry } = await parseConfig(text, 'f')
    assert.deepEqual(JSON.parse(JSON.stringify(registry)), {
      'docker.io': { mirrors: ['127.0.0.1:5998'] },
      '127.0.0.1:5998': { http: true },
      'x.org': { insecure: true },
      localhost: { http: false },
    })
  })

  const wrong: readonly (readonly [string, string, string])[] = [
    ['an unknown key', 'rot = "/x"', 'f:1: rot is not a known key; the nearest is root'],
    [
      'an unknown key of a table',
      '\n[serve]\n\nlisen = "x"',
      'f:4: serve.lisen is not a known key; the nearest is listen',
    ],
    [
      'a dotted key',
      'root = "/x"\nserve.lisen = "x"',
      'f:2: serve.lisen is not a known key; the nearest is listen',
    ],
    [
      'a key of a registry',
      '[registry."a.org"]\nhttp = true\n[registry."docker.io"]\nhttp = true\nmirors = []',
      'f:5: registry.docker.io.mirors is not a known key; the nearest is mirrors',
    ],
    [
      'a key in an inline table',
      'root = "/x"\nregistry = { "a.org" = { htp = true } }',
      'f:2: registry.a.org.htp is not a known key; the nearest is http',
    ],
    [
      'an unknown table',
      'root = "/x"\n[registy."docker.io"]',
      'f:2: registy is not a known key; the nearest is registry',
    ],
    ['a key like none', 'zzzzzzzzzz = 1', 'f:1: zzzzzzzzzz is not a known key; known are root, serve, ...'],
    [
      "a name of Object's own",
      'constructor = 1',
      'f:1: constructor is not a known key; known are root, serve, ...',
    ],
    ['a number for a string', 'root = 5', 'f:1: root must be a string that is not empty'],
    ['an empty string', 'root = ""', 'f:1: root must be a string that is not empty'],
    ['a date', 'root = 2020-01-01', 'f:1: root must be a string that is not empty'],
    ['a string for a flag', '[registry.a]\nhttp = "yes"', 'f:2: registry.a.http must be true or false'],
    [
      'a string for a list',
      '[registry.a]\nmirrors = "b"',
      'f:2: registry.a.mirrors must be a list of strings',
    ],
    ['numbers in a list', '[registry.a]\nmirrors = [1]', 'f:2: registry.a.mirrors must be a list of strings'],
    ['a scalar for a table', 'serve = "x"', 'f:1: serve must be a table'],
    ['a list for a table', '[[serve]]\nlisten = "x"', 'f:1: serve must be a table'],
  ]
  for (const [name, text, problem] of wrong) {
    it(`refuses ${name}, naming file, line and key`, async () => {
      await assert.rejects(parseConfig(text, 'f'), (error: CliError) => {
        assert.equal(error.code, 'config-invalid-file')
        const [start = '', ...rest] = `Cannot read configuration ${problem}`.split('...')
        assert.equal(rest.length > 0 ? error.message.slice(0, start.length) : error.message, start)
        return true
      })
    })
  }

  for (const [name, text] of [
    ['a value that is none', 'root = "/x"\n\nbuild = what'],
    ['a key given twice', 'a = 1\nroot = "/x"\nroot = "/y"'],
    ['a string without an end', 'a = 1\na = 1\nroot = "/x'],
  ] as const) {
    it(`refuses ${name}, with the line`, async () => {
      await assert.rejects(parseConfig(text, 'the-file'), {
        code: 'config-invalid-file',
        message: /^Cannot read configuration the-file:[23]: [A-Z]/,
      })
    })
  }
})
