/** The commands as processes, over stores of their own: no root, no network. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, it } from 'node:test'
import { pack } from 'tar-stream'
import { COMMANDS } from '../../../src/cli/commands.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/slipway')

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

let folder: string
let tar: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-cli-'))
  tar = join(folder, 'root.tar')
  const archive = pack()
  archive.entry({ name: 'etc/greeting', mtime: new Date(0) }, 'hello\n')
  archive.finalize()
  await pipeline(archive, createWriteStream(tar))
})
after(() => rm(folder, { recursive: true, force: true }))

function start(args: readonly string[], env: Record<string, string> = {}) {
  return spawn(PROGRAM, args, {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? folder, '.cache'),
      XDG_CONFIG_HOME: join(folder, 'config'),
      SLIPWAY_ROOT: join(folder, 'store'),
      ...env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })
}

async function slipway(args: readonly string[], env?: Record<string, string>): Promise<Outcome> {
  const child = start(args, env)
  child.stdin.end()
  const closed = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await closed
  return { code, stdout, stderr }
}

/** What a command that must succeed prints. */
async function output(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await slipway(args)
  assert.equal(code, 0, `slipway ${args.join(' ')}: ${stderr}`)
  return stdout
}

describe('slipway', { concurrency: 2 }, () => {
  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8'))
    for (const argument of ['--version', '-v', 'version'])
      assert.equal(await output(argument), `slipway ${version}\n`)
  })

  it('helps without arguments and with --help, before and after a command', async () => {
    const [bare, asked, command, before, help] = await Promise.all([
      output(),
      output('--help'),
      output('build', '--help'),
      output('--help', 'build'),
      output('help', 'build'),
    ])
    assert.equal(bare, asked)
    for (const name of Object.keys(COMMANDS)) assert.match(bare, new RegExp(`^  ${name} `, 'm'))
    assert.match(command, /^Usage: slipway build /)
    assert.equal(before, command)
    assert.equal(help, command)
  })

  const refused: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ['an unknown command', ['biuld'], 2, /no command "biuld" \(did you mean build\?\)/],
    [
      'an unknown option',
      ['images', '--fromat', 'json'],
      2,
      /unknown option --fromat \(did you mean --format\?\)/,
    ],
    ['an unknown option without a command', ['--versoin'], 2, /did you mean --version\?/],
    ['a store without a command', ['--root', 'x'], 2, /a command is missing/],
    ['a build without a context', ['build'], 2, /an argument is missing; usage: slipway build .*PATH/],
    ['a build without a Dockerfile', ['build', '.'], 2, /there is no Dockerfile or dockerfile/],
    ['a name that is none', ['build', '-t', 'Bad Name', '.'], 2, /"Bad Name"/],
    ['a format that is none', ['images', '--format', 'xml'], 2, /--format is table or json, not "xml"/],
    ['an image that is not there', ['rmi', 'nothing:1'], 1, /Cannot find image "nothing:1" in the store/],
    [
      'a push to nowhere',
      ['push', 'app:1'],
      2,
      /does not say to which registry[\s\S]*hint: slipway copy app:1 HOST\/app:1/,
    ],
    [
      'an archive that is not there',
      ['load', '-i', 'no.tar'],
      1,
      /Cannot read .*no\.tar: there is no such file/,
    ],
    [
      'a root filesystem that is not there',
      ['import', 'no.tar', 'x'],
      1,
      /Cannot read .*no\.tar: there is no such file/,
    ],
    ['a directory to import', ['import', '.', 'x'], 1, /Cannot read .*: it is a directory/],
    ['an address that is none', ['serve', '--listen', 'nowhere'], 2, /HOST:PORT, not "nowhere"/],
    [
      'a configuration that is not there',
      ['images', '--config', 'no.toml'],
      2,
      /no\.toml: there is no such file/,
    ],
  ]
  for (const [name, args, code, says] of refused) {
    it(`refuses ${name} with exit code ${code}`, async () => {
      const outcome = await slipway(args)
      assert.equal(outcome.code, code, outcome.stderr)
      assert.match(outcome.stderr, says)
      assert.equal(outcome.stderr.match(/^error: /gm)?.length, 1, outcome.stderr)
      assert.doesNotMatch(outcome.stderr, /^\s+at /m)
      assert.equal(outcome.stdout, '')
    })
  }

  it('names file, line and nearest key of a wrong configuration', async () => {
    await writeFile(join(folder, 'wrong.toml'), '[serve]\nlisen = "x"\n')
    const { code, stderr } = await slipway(['images'], { SLIPWAY_CONFIG: 'wrong.toml' })
    assert.equal(code, 2)
    assert.match(stderr, /wrong\.toml:2: serve\.lisen is not a known key; the nearest is listen/)
  })

  it('tells at the start of serve that a password file of the proxy is not there', async () => {
    const proxy =
      '[proxy]\nupstreams = ["up.test"]\n[proxy.credentials."up.test"]\nusername = "me"\npassword-file = "gone"\n'
    await writeFile(join(folder, 'proxy.toml'), proxy)
    const { code, stdout, stderr } = await slipway([
      ...[
        'serve',
        '--listen',
        '127.0.0.1:0',
        '--root',
        join(folder, 'proxy-store'),
        '--config',
        'proxy.toml',
      ],
    ])
    assert.equal(stdout, '')
    assert.match(stderr, /Cannot read password file .*gone/)
    assert.notEqual(code, 0)
  })

  it('lists nothing of an empty store', async () => {
    const root = ['--root', join(folder, 'empty')]
    assert.match(await output('images', ...root), /^REPOSITORY +TAG +DIGEST +IMAGE ID +CREATED +SIZE\n$/)
    assert.deepEqual(JSON.parse(await output(...root, 'images', '--format=json')), [])
    assert.equal(await output('images', '-q', ...root), '')
  })

  it('imports, names, shows, saves, removes and loads an image', async () => {
    const named = await output('import', '-c', 'CMD ["cat", "/etc/greeting"]', tar, 'app:1')
    const digest = /^app:1 (sha256:[0-9a-f]{64})\n$/.exec(named)?.[1] ?? assert.fail(named)
    assert.equal(await output('tag', 'app:1', 'h.org/team/app'), '')
    const rows = JSON.parse(await output('images', '--format', 'json'))
    assert.deepEqual(
      rows.map(({ repository, tag, digest }: Record<string, string>) => [repository, tag, digest]).sort(),
      [
        ['app', '1', digest],
        ['h.org/team/app', 'latest', digest],
      ],
    )
    const [image] = JSON.parse(await output('inspect', 'app:1'))
    assert.equal(image.Digest, digest)
    assert.equal(image.Id, rows[0].id)
    assert.deepEqual(image.RepoTags, ['app:1', 'h.org/team/app:latest'])
    assert.deepEqual(image.Config.Cmd, ['cat', '/etc/greeting'])
    assert.equal(image.RootFS.Layers.length, 1)
    assert.match(await output('images', 'app'), new RegExp(`^app +1 +${digest.slice(7, 19)} `, 'm'))
    assert.equal(await output('images', '-q'), `${image.Id}\n`)
    assert.match(
      await output('history', 'app:1'),
      /^CREATED +SIZE +CREATED BY +COMMENT\n.*Imported from root\.tar/,
    )

    for (const format of ['docker', 'oci']) {
      const archive = join(folder, `${format}.tar`)
      await output('save', 'app:1', '-o', archive, '--format', format)
      const other = ['--root', join(folder, `from-${format}`)]
      assert.equal(await output('load', '-i', archive, ...other), 'loaded app:1\n')
      const [loaded] = JSON.parse(await output('inspect', 'app:1', ...other))
      assert.equal(loaded.Id, image.Id)
      assert.deepEqual(loaded.RootFS, image.RootFS)
    }

    assert.equal(
      await output('rmi', 'h.org/team/app', 'app:1'),
      'removed h.org/team/app:latest\nremoved app:1\n',
    )
    assert.deepEqual(JSON.parse(await output('images', '--format', 'json')), [])
    assert.match(await output('gc', '--grace', '0'), /^deleted [1-9]\d* blobs/)
  })

  it('stores nothing of garbage', async () => {
    const root = join(folder, 'garbage-store')
    await writeFile(join(folder, 'garbage'), 'this is no tar'.repeat(100))
    for (const args of [
      ['import', 'garbage', 'x'],
      ['load', '-i', 'garbage'],
    ]) {
      const { code, stderr } = await slipway([...args, '--root', root])
      assert.equal(code, 1, stderr)
      assert.doesNotMatch(stderr, /^\s+at /m)
    }
    assert.deepEqual(JSON.parse(await output('images', '--root', root, '--format', 'json')), [])
    assert.deepEqual(await readdir(join(root, 'ingest')), [])
  })

  it('removes no name when one of several is wrong', async () => {
    const root = ['--root', join(folder, 'rmi-store')]
    await output('import', tar, 'kept', ...root)
    assert.equal((await slipway(['rmi', 'kept', 'wrong', ...root])).code, 1)
    assert.equal(JSON.parse(await output('images', '--format', 'json', ...root)).length, 1)
  })

  it('removes by ID only an image that has one name', async () => {
    const root = ['--root', join(folder, 'rmi-id-store')]
    await output('import', tar, 'one', ...root)
    const [id = ''] = (await output('images', '-q', ...root)).split('\n')
    await output('tag', 'one', 'two', ...root)
    const refused = await slipway(['rmi', id, ...root])
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /several names, so say which: (one:latest, two|two:latest, one):latest/)
    await output('rmi', 'two', ...root)
    assert.equal(await output('rmi', id.slice(7, 19), ...root), 'removed one:latest\n')
  })

  it('prunes, and says what that freed', async () => {
    const env = { SLIPWAY_ROOT: join(folder, 'prune-store') }
    const context = join(folder, 'pruned')
    await mkdir(context)
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n')
    assert.equal((await slipway(['build', '-q', context], env)).code, 0)
    const pruned = await slipway(['prune'], env)
    assert.equal(pruned.code, 0, pruned.stderr)
    assert.match(
      pruned.stdout,
      /^removed 1 result of the build cache, 0 unpacked layers and 0 cache mounts, freed \d/,
    )
    assert.deepEqual(await readdir(join(folder, 'prune-store/context-digests')), [])
  })

  it('keeps out of the working directory when HOME is empty', async () => {
    const { code } = await slipway(['--version'], { HOME: '', XDG_CACHE_HOME: '' })
    assert.equal(code, 0)
    assert.equal(existsSync(join(folder, '.cache')), false)
  })

  it('builds without RUN, and says what came of it', async () => {
    const env = { SLIPWAY_ROOT: join(folder, 'build-store') }
    const context = join(folder, 'context')
    await mkdir(context)
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY file /\n')
    await writeFile(join(context, 'file'), 'x')
    const built = await slipway(
      [
        'build',
        '-t',
        'app',
        '--iidfile',
        'id',
        '--metadata-file',
        'metadata',
        '-o',
        'type=store',
        '-o',
        'out',
        context,
      ],
      env,
    )
    assert.equal(built.code, 0, built.stderr)
    assert.equal(built.stdout, '')
    assert.match(built.stderr, /^#1 .*\n#1 DONE/m)
    assert.match(
      built.stderr,
      /^image {3}app:latest\ndigest {2}sha256:\w+\nsize .*\nwrote {3}local to .*\/out\ntime .*\npull .*app:latest/m,
    )
    assert.equal(readFileSync(join(folder, 'out/file'), 'utf8'), 'x')
    const imageID = readFileSync(join(folder, 'id'), 'utf8')
    assert.match(imageID, /^sha256:[0-9a-f]{64}$/)
    const metadata = JSON.parse(readFileSync(join(folder, 'metadata'), 'utf8'))
    assert.equal(metadata['containerimage.config.digest'], imageID)
    assert.equal(metadata['containerimage.digest'], metadata['containerimage.descriptor'].digest)
    assert.equal(metadata['image.name'], 'app:latest')

    const quiet = await slipway(['build', '-q', context], env)
    assert.deepEqual(quiet, { code: 0, stdout: `${imageID}\n`, stderr: '' })
    assert.deepEqual(await slipway(['build', '--progress', 'quiet', context], env), quiet)
    const raw = await slipway(['build', '--progress=rawjson', '--build-arg', 'NONE=1', context], env)
    assert.equal(raw.stdout, '')
    const records = raw.stderr
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.match(Buffer.from(records.at(-1).warnings[0].short, 'base64').toString(), /NONE/)
    const both = await slipway(['build', '-q', '-o', '-', context], env)
    assert.equal(both.code, 2)
    const nowhere = await slipway(['build', '--iidfile', 'no/such/id', context], env)
    assert.equal(nowhere.code, 1)
    assert.match(nowhere.stderr, /error: Cannot write .*no\/such\/id: its folder does not exist/)
    assert.equal(existsSync(join(folder, 'no')), false)
  })

  it('builds a tar from standard input, with the owners of its files', async () => {
    const archive = pack()
    archive.entry({ name: 'Dockerfile' }, 'FROM scratch\nCOPY --chmod=644 a /b\n')
    archive.entry({ name: 'a', uid: 7, gid: 8 }, 'from a tar')
    archive.finalize()
    const child = start(['build', '-q', '-o', '-', '-'], { SLIPWAY_ROOT: join(folder, 'stdin-store') })
    child.stdin.end()
    assert.equal((await once(child, 'close'))[0], 2)
    const building = start(['build', '-o', '-', '-'], { SLIPWAY_ROOT: join(folder, 'stdin-store') })
    const files = buffer(building.stdout)
    const failure = text(building.stderr)
    const closed = once(building, 'close')
    await pipeline(archive, building.stdin)
    assert.deepEqual(await closed, [0, null], await failure)
    const header = (await files).toString('latin1', 0, 512).replaceAll('\0', ' ')
    assert.match(header, /^b +0000644 0000007 0000010 /)
  })

  it('ends quietly when its reader has seen enough', async () => {
    const root = ['--root', join(folder, 'pipe-store')]
    await output('import', tar, 'app', ...root)
    const child = start(['save', 'app', ...root])
    child.stdin.end()
    child.stdout.destroy()
    const closed = once(child, 'close')
    const stderr = await text(child.stderr)
    await closed
    assert.equal(stderr, '')
  })

  for (const [signal, exitCode, said] of [
    ['SIGINT', 130, 'Interrupted'],
    ['SIGTERM', 143, 'Terminated'],
    ['SIGHUP', 129, 'Hung up: the terminal was closed'],
  ] as const) {
    it(`ends with ${exitCode} on ${signal}, while it waits for input, and leaves nothing behind`, async () => {
      const root = join(folder, `${signal}-store`)
      const child = start(['import', '-', 'app', '--root', root])
      const closed = once(child, 'close')
      const stderr = text(child.stderr)
      child.stdin.on('error', () => undefined)
      child.stdin.write(readFileSync(tar).subarray(0, 512))
      while (!existsSync(join(root, 'ingest')) || (await readdir(join(root, 'ingest'))).length === 0)
        await new Promise(resolve => setImmediate(resolve))
      child.kill(signal)
      const [code] = await closed
      assert.equal(code, exitCode, await stderr)
      assert.equal(await stderr, `error: ${said}\n`)
      assert.deepEqual(await readdir(join(root, 'ingest')), [])
    })
  }

  it('ends at once on a second signal, although a transfer is under way', async () => {
    const child = start(['serve', '--listen', '127.0.0.1:0', '--root', join(folder, 'twice-store')])
    const closed = once(child, 'close')
    const [greeting] = await once(child.stdout, 'data')
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(String(greeting))?.[1])
    const upload = connect(port, '127.0.0.1').on('error', () => undefined)
    upload.write('POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
    const [answer] = await once(upload, 'data')
    const location = /^location: (.*)$/im.exec(String(answer))?.[1] ?? assert.fail(String(answer))
    upload.write(
      `PATCH ${new URL(location, 'http://a').pathname} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx`,
    )
    child.kill('SIGINT')
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    assert.equal((await closed)[0], 130)
    upload.destroy()
  })

  it('serves until it is told to end, and that is no failure', async () => {
    const child = start(['serve', '--listen', '127.0.0.1:0', '--root', join(folder, 'serve-store')])
    const closed = once(child, 'close')
    const [greeting] = await once(child.stdout, 'data')
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(String(greeting))?.[0] ?? assert.fail(String(greeting))
    assert.equal((await fetch(`${url}/v2/`)).status, 200)
    const busy = await slipway([
      'serve',
      '--listen',
      url.slice('http://'.length),
      '--root',
      join(folder, 'other'),
    ])
    assert.equal(busy.code, 1)
    assert.match(busy.stderr, /^error: Cannot .*uses that port/m)
    child.kill('SIGTERM')
    assert.equal((await closed)[0], 0)
  })
})
