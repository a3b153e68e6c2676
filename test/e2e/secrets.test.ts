/** Secrets are nowhere but in the processes of the step that asked for them, and in what the user wrote them to. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import http, { type Server } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isErrno } from '../../src/oci/errors.ts'
import { type GitServer, git, serveGit } from '../support/git-server.ts'
import { succeed } from './support/process.ts'
import { findIn, type Needles, needlesOf, readIfThere, searchFolder } from './support/search.ts'
import { PROGRAM, type Served, type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['runc', 'git', 'ssh-agent', 'ssh-add', 'ssh-keygen']

describe('secrets', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let served: Served
  let locked: Server
  let repositories: GitServer
  let slipway: Slipway
  let options: readonly string[]
  let steps: string
  let needles: Needles
  let temporary: string
  let running: ChildProcess | undefined
  let count = 0

  before(async () => {
    world = await createWorld({ base: true })
    const secret = () => randomBytes(24).toString('base64url')
    const [file, variable, inEnvironment, token, password] = [
      secret(),
      secret(),
      secret(),
      secret(),
      secret(),
    ]
    const given = join(world.scratch, 'given')
    temporary = join(world.scratch, 'temporary')
    for (const folder of [given, temporary]) mkdirSync(folder)
    writeFileSync(join(given, 'file'), file)
    await succeed('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(given, 'key')])
    chmodSync(join(given, 'key'), 0o600)
    const key = readFileSync(join(given, 'key'), 'utf8').split('\n')
    served = await world.slipway.serve()
    locked = await lockedFront(served.host, `Basic ${base64(`user:${password}`)}`)
    const host = `127.0.0.1:${portOf(locked)}`
    writeFileSync(
      join(given, 'config.json'),
      JSON.stringify({ auths: { [host]: { auth: base64(`user:${password}`) } } }),
    )
    repositories = await lockedRepository(world.scratch, `basic ${base64(`x-access-token:${token}`)}`)
    needles = new Map([
      ...needlesOf('the secret of a file', file),
      ...needlesOf('the secret of a variable', variable),
      ...needlesOf('the secret that a step has in its environment', inEnvironment),
      ...needlesOf('the token for Git', token),
      ...needlesOf('the password of the registry', password),
      // The last whole line of the private key is of its secret half.
      ...needlesOf('the key of ssh', key.at(-4) ?? ''),
    ])
    slipway = slipwayAt(join(world.scratch, 'store-of-build'), {
      TMPDIR: temporary,
      DOCKER_CONFIG: given,
      HUSH_VARIABLE: variable,
      HUSH_ENVIRONMENT: inEnvironment,
      HUSH_TOKEN: token,
    })
    options = [
      `--secret=id=file,src=${join(given, 'file')}`,
      '--secret=id=variable,env=HUSH_VARIABLE',
      '--secret=id=environment,env=HUSH_ENVIRONMENT',
      '--secret=id=GIT_AUTH_TOKEN,env=HUSH_TOKEN',
      `--ssh=default=${join(given, 'key')}`,
      '--progress=plain',
      '--explain',
      '--provenance=mode=max',
    ]
    steps = [
      `FROM ${host}/base:1`,
      `ADD ${repositories.url}/app.git /app`,
      'RUN --mount=type=secret,id=file --mount=type=secret,id=variable,target=/deep/variable \\',
      '  --mount=type=secret,id=environment,env=HUSH --mount=type=ssh \\',
      '  test -s /run/secrets/file && test -s /deep/variable && test -n "$HUSH" && test -S "$SSH_AUTH_SOCK"',
    ].join('\n')
  })
  after(async () => {
    running?.kill('SIGKILL')
    locked?.close()
    await repositories?.[Symbol.asyncDispose]()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  const contextOf = (last: string) =>
    world.folder(`context-${++count}`, { Dockerfile: `${steps} && ${last}\n` })

  async function assertNowhere(...outputs: readonly string[]): Promise<void> {
    for (const output of outputs) assert.deepEqual(findIn(Buffer.from(output), needles), [])
    const made = [slipway.root, temporary, join(world.scratch, 'made')]
    for (const folder of made) assert.deepEqual(await searchFolder(folder, needles), [])
  }

  it('are searched for in a way that finds them', async () => {
    const folder = await world.folder('found', { plain: 'x' })
    const [[name = '', needle = Buffer.alloc(0)] = []] = needles
    const { gzipSync, zstdCompressSync } = await import('node:zlib')
    const text = `a:${needle}!`
    writeFileSync(join(folder, 'gzip'), gzipSync(text))
    writeFileSync(join(folder, 'zstd'), zstdCompressSync(base64(text)))
    const found = await searchFolder(folder, needles)
    assert.ok(found.every(line => line.startsWith(name)))
    for (const file of ['gzip', 'zstd']) assert.ok(found.some(line => line.endsWith(file)))
  })

  it('are in nothing that a build makes, keeps and prints', async () => {
    const made = join(world.scratch, 'made')
    mkdirSync(made, { recursive: true })
    const { code, stdout, stderr } = await slipway.try([
      'build',
      ...options,
      `--metadata-file=${made}/metadata.json`,
      `--output=type=oci,tar=false,compression=zstd,dest=${made}/layout`,
      '--output=type=store',
      `--cache-to=type=local,dest=${made}/cache,mode=max`,
      '-t=app',
      await contextOf('echo made > /made'),
    ])
    assert.equal(code, 0, stderr)
    const history = await slipway.run(['history', 'app'])
    await assertNowhere(stdout, stderr, history, await slipway.run(['inspect', 'app']))
  })

  it('are in nothing that is said and left of a step that fails', async () => {
    const { code, stdout, stderr } = await slipway.try(['build', ...options, await contextOf('false')])
    assert.equal(code, 1, stderr)
    assert.match(stderr, /exit code 1/)
    await assertNowhere(stdout, stderr)
  })

  it('are seen of no process but the step and who was given them, and gone from disks when the build is killed', async () => {
    const context = await contextOf('echo read""y && sleep 1000')
    const { root, env } = slipway
    const child = slipway.start(['build', ...options, context])
    running = child
    const printed = await readUntil(child, / ready$/m)
    assert.deepEqual(seenOfProcesses(needles), [])
    // What is in memory is on no disk.
    const onDisk = await searchFolder(root, needles)
    const inMemory = tmpfsBelow(root)
    assert.deepEqual(
      onDisk.filter(line => !inMemory.some(point => line.includes(` in ${point}/`))),
      [],
    )
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    await succeed(
      PROGRAM,
      [
        'build',
        '--progress=plain',
        '--no-cache',
        await world.folder('plain', {
          Dockerfile: 'FROM scratch\nCOPY --from=x / /\nRUN ["/bin/busybox", "true"]\n',
        }),
        '--build-context',
        `x=docker-image://127.0.0.1:${portOf(locked)}/base:1`,
      ],
      { env },
    )
    assert.deepEqual(tmpfsBelow(root), [])
    await assertNowhere(printed)
  })
})

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function portOf(server: Server): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

/** A registry that lets in who says so. */
async function lockedFront(behind: string, authorization: string): Promise<Server> {
  const [hostname, port] = behind.split(':')
  const server = http.createServer((request, response) => {
    if (request.headers.authorization !== authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="locked"' }).end()
      return
    }
    const { authorization: _, ...headers } = request.headers
    const { method, url } = request
    const onward = http.request({ hostname, port, method, path: url, headers }, answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function lockedRepository(scratch: string, authorization: string): Promise<GitServer> {
  const work = join(scratch, 'work')
  mkdirSync(work)
  writeFileSync(join(work, 'file'), 'x')
  git(work, 'init', '--quiet')
  git(work, 'add', '.')
  git(work, 'commit', '--quiet', '-m', 'first')
  mkdirSync(join(scratch, 'served'))
  git(scratch, 'clone', '--quiet', '--bare', 'work', 'served/app.git')
  return serveGit(join(scratch, 'served'), { authorization })
}

async function readUntil(child: ReturnType<Slipway['start']>, pattern: RegExp): Promise<string> {
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => (printed += String(chunk)))
  while (!pattern.test(printed)) {
    assert.equal(child.exitCode, null, printed)
    await Promise.race([once(child, 'exit'), child.stderr && once(child.stderr, 'data')])
  }
  return printed
}

/**
 * What stands in the arguments of any process, and in the environment of any that lives with us and was not given it:
 * our program and this test were; those of the step live in a namespace of processes of their own.
 */
function seenOfProcesses(needles: Needles): readonly string[] {
  const ours = readlinkSync('/proc/self/ns/pid')
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      const command = readIfThere(`/proc/${pid}/cmdline`)
      const wasGiven = command.includes('slipway') && command.includes('\0build\0')
      const isOfStep = namespaceOf(pid) !== ours
      const environment = wasGiven || isOfStep ? Buffer.alloc(0) : readIfThere(`/proc/${pid}/environ`)
      return [...findIn(command, needles), ...findIn(environment, needles)].map(name => `${name}: ${command}`)
    })
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch (error) {
    // It ended meanwhile, or is none that we may look at.
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES')) return ''
    throw error
  }
}

function tmpfsBelow(root: string): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter(line => line.includes(' - tmpfs '))
    .map(line => line.split(' ')[4] ?? '')
    .filter(point => point.startsWith(`${root}/`))
}
