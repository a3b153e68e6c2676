/** `serve --tls auto` with real clients, which trust it once they have run the line that it prints for them. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startContainerd } from './support/containerd.ts'
import { type Engine, startEngine, startNewEngine } from './support/engine.ts'
import { buildahIn, podmanIn } from './support/peers.ts'
import { run, succeed } from './support/process.ts'
import { type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = [
  ...['dockerd', 'docker', 'podman', 'skopeo', 'buildah', 'containerd', 'ctr', 'runc', 'curl', 'openssl'],
  ...['mmdebstrap', 'unshare'],
]

/** Not a loopback one: clients take anything from those. */
const address = Object.values(networkInterfaces())
  .flatMap(addresses => addresses ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address

const skip = cannotRun({ root: true, programs }) || (address === undefined && 'no network but loopback')

interface Serving {
  readonly server: ChildProcess
  readonly printed: string
  /** `ADDRESS:PORT` */
  readonly host: string
}

async function serve(slipway: Slipway): Promise<Serving> {
  const server = slipway.start(['serve', '--listen', '0.0.0.0:0', '--tls', 'auto', '--log', 'json'])
  let printed = ''
  await new Promise<void>((resolve, reject) => {
    server.stdout?.on('data', chunk => {
      printed += chunk.toString()
      if (/\n {2}[0-9A-F:]{95}\n/.test(printed)) resolve()
    })
    server.once('close', code => reject(new Error(`serve ended with ${code}: ${printed}`)))
  })
  const host = new RegExp(`docker pull (${address}:\\d+)/`).exec(printed)?.[1] ?? assert.fail(printed)
  return { server, printed, host }
}

async function stop(server: ChildProcess | undefined): Promise<void> {
  server?.kill('SIGTERM')
  if (server?.exitCode === null) await once(server, 'close')
}

/** Runs the line that was printed for this client. */
async function trust(client: string, printed: string): Promise<void> {
  const line = new RegExp(`^ {2}${client} +(mkdir .*)$`, 'm').exec(printed)?.[1] ?? assert.fail(printed)
  await succeed('sh', ['-euc', line])
}

describe('serve --tls auto', { skip }, () => {
  let world: World
  let server: ChildProcess
  let printed: string
  let host: string
  const podman = (args: readonly string[]): Promise<string> => podmanIn(world.scratch)(args)
  const buildah = (args: readonly string[]): Promise<string> => buildahIn(world.scratch)(args)

  before(async () => {
    world = await createWorld({ base: true })
    ;({ server, printed, host } = await serve(world.slipway))
  })
  after(async () => {
    await stop(server)
    for (const client of ['docker', 'containers', 'containerd'])
      await rm(`/etc/${client}/certs.d/${host}`, { recursive: true, force: true })
    await world?.[Symbol.asyncDispose]()
  })

  it('serves its authority, which is the one whose fingerprint it printed, and stands strict rules', async () => {
    const file = join(world.scratch, 'ca.crt')
    await succeed('curl', ['-fsS', '-o', file, `http://${host}/ca.crt`])
    const fingerprint = await succeed('openssl', ['x509', '-noout', '-fingerprint', '-sha256', '-in', file])
    const [, shown = ''] = fingerprint.trim().split('=')
    assert.ok(printed.includes(shown), `${shown}\n${printed}`)
    const untrusted = await run('curl', ['-sS', `https://${host}/v2/`])
    assert.equal(untrusted.code, 60, untrusted.stderr)
    assert.equal(await succeed('curl', ['-fsS', '--cacert', file, `https://${host}/v2/`]), '{}')
    const port = host.slice(host.lastIndexOf(':') + 1)
    assert.equal(await succeed('curl', ['-fsS', '--cacert', file, `https://localhost:${port}/v2/`]), '{}')
    await succeed('curl', ['-fsS', '--cacert', file, `https://127.0.0.1:${port}/.well-known/slipway/ca.crt`])
    const shake = ['s_client', '-connect', host, '-CAfile', file, '-x509_strict', '-verify_return_error']
    await succeed('openssl', [...shake, '-verify_ip', address ?? ''], { input: '' })
  })

  it('tells a client in plain HTTP to use HTTPS, but answers probes', async () => {
    const status = ['-s', '-o', '/dev/null', '-w', '%{http_code}']
    assert.equal(await succeed('curl', [...status, `http://${host}/v2/`]), '426')
    assert.equal(await succeed('curl', [...status, `http://${host}/readyz`]), '200')
  })

  // Before docker: these read its folder too.
  it('is trusted by podman, skopeo and buildah after their line', async () => {
    const refused = await run('skopeo', ['inspect', `docker://${host}/base:1`])
    assert.match(refused.stderr, /certificate signed by unknown authority/)
    await trust('podman etc\\.', printed)
    await podman(['pull', '--quiet', `${host}/base:1`])
    await podman(['push', '--quiet', `${host}/base:1`, `${host}/by/podman:1`])
    const folder = join(world.scratch, 'skopeo')
    await succeed('skopeo', ['copy', '--quiet', `docker://${host}/by/podman:1`, `dir:${folder}`])
    await succeed('skopeo', ['copy', '--quiet', `dir:${folder}`, `docker://${host}/by/skopeo:1`])
    const container = (await buildah(['from', `${host}/by/skopeo:1`])).trim()
    await buildah(['rm', container])
  })

  it('is trusted by docker after its line, without a restart', async () => {
    await using engine: Engine = await startEngine()
    const refused = await engine.tryDocker(['pull', `${host}/base:1`])
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /certificate signed by unknown authority/)
    await trust('docker', printed)
    await engine.docker(['pull', `${host}/base:1`])
    await engine.docker(['tag', `${host}/base:1`, `${host}/by/docker:1`])
    await engine.docker(['push', `${host}/by/docker:1`])
  })

  it('lets a docker of our day log in after that line, pull, push with mounts, and build', async () => {
    const config = join(world.scratch, 'users.toml')
    await writeFile(config, '[access]\nusers = "users"\n')
    const guarded = slipwayAt(world.slipway.root, { SLIPWAY_CONFIG: config })
    await guarded.run(['user', 'add', 'anna', '--password-stdin'], { input: 'secret\n' })
    const own = await serve(guarded)
    try {
      await using engine = await startNewEngine()
      await trust('docker', own.printed)
      const image = (name: string): string => `${own.host}/${name}`
      const refused = await engine.tryDocker(['pull', image('base:1')])
      assert.match(refused.stderr, /pull access denied/)
      await engine.docker(['login', '-u', 'anna', '--password-stdin', own.host], { input: 'secret' })
      await engine.docker(['pull', '--quiet', image('base:1')])
      await engine.docker(['tag', image('base:1'), image('by/engine:1')])
      assert.match(await engine.docker(['push', image('by/engine:1')]), /Mounted from base/)
      const context = await world.folder('engine', { Dockerfile: `FROM ${image('by/engine:1')}\nENV A=b\n` })
      await engine.build(['--push', '--tag', image('by/buildkit:1'), context])
    } finally {
      await stop(own.server)
      await rm(`/etc/docker/certs.d/${own.host}`, { recursive: true, force: true })
    }
  })

  it('is trusted by containerd after its line', async () => {
    await trust('containerd', printed)
    await using containerd = await startContainerd(join(world.scratch, 'containerd'))
    const hosts = ['--hosts-dir', '/etc/containerd/certs.d']
    await containerd.ctr(['images', 'pull', ...hosts, '--snapshotter', 'native', `${host}/base:1`])
    await containerd.ctr(['images', 'tag', `${host}/base:1`, `${host}/by/ctr:1`])
    await containerd.ctr(['images', 'push', ...hosts, `${host}/by/ctr:1`])
  })

  it('is trusted by slipway: over the same store at once, over another after the line for docker', async () => {
    await world.slipway.run(['copy', `${host}/base:1`, `${host}/by/slipway:1`])
    const port = host.slice(host.lastIndexOf(':') + 1)
    await world.slipway.run(['copy', `127.0.0.1:${port}/base:1`, `127.0.0.1:${port}/by/loopback:1`])
    const stranger = { XDG_CONFIG_HOME: join(world.scratch, 'none') }
    const other = slipwayAt(join(world.scratch, 'other-store'), stranger)
    await trust('docker', printed)
    await other.run(['pull', `${host}/base:1`])
    await rm(`/etc/docker/certs.d/${host}`, { recursive: true })
    await rm(`/etc/containers/certs.d/${host}`, { recursive: true, force: true })
    const refused = await other.try(['pull', `${host}/base:1`])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /Cannot trust/)
  })

  it('has all that clients pushed, in one store', async () => {
    const images = await world.slipway.run(['images'])
    for (const client of ['docker', 'engine', 'buildkit', 'podman', 'skopeo', 'ctr', 'slipway', 'loopback'])
      assert.match(images, new RegExp(`by/${client}\\b`))
  })

  it('shares its authority with another process over the same store', async () => {
    const second = world.slipway.start(['serve', '--listen', `${address}:0`, '--tls', 'auto'])
    let text = ''
    for await (const chunk of second.stdout ?? []) {
      text += String(chunk)
      if (/([0-9A-F]{2}:){31}/.test(text)) break
    }
    second.kill('SIGTERM')
    const fingerprint = /([0-9A-F]{2}:){31}[0-9A-F]{2}/.exec(text)?.[0] ?? assert.fail(text)
    assert.ok(printed.includes(fingerprint))
  })
})
