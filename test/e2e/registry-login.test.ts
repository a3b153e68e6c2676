/** Real clients log in to `slipway serve`, pull and push as they may, and log out. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Engine, startEngine } from './support/engine.ts'
import { buildahIn, podmanIn } from './support/peers.ts'
import { run, succeed } from './support/process.ts'
import { type Served, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['dockerd', 'docker', 'podman', 'skopeo', 'buildah', 'ctr', 'runc']

const CONFIG = `
[access]
users = "users"

[access.groups]
developers = ["anna"]

[access.repositories."open/**"]
anonymous = ["pull"]

[access.repositories."**"]
"@developers" = ["*"]

[access.repositories."\${user}/**"]
"*" = ["*"]
`

describe('logins of real clients', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let engine: Engine
  let served: Served
  let robot: string
  const podman = (args: readonly string[]): Promise<string> => podmanIn(world.scratch)(args)
  const buildah = (args: readonly string[]): Promise<string> => buildahIn(world.scratch)(args)
  const plain = '--tls-verify=false'
  const login = (user: string) => ['login', '--username', user, '--password-stdin']
  const image = (name: string): string => `${served.host}/${name}`

  before(async () => {
    world = await createWorld({ base: true })
    const config = join(world.scratch, 'slipway.toml')
    await writeFile(config, CONFIG)
    const slipway = slipwayAt(world.slipway.root, { SLIPWAY_CONFIG: config })
    for (const name of ['anna', 'ben'])
      await slipway.run(['user', 'add', name, '--password-stdin'], { input: `${name}'s password\n` })
    robot = (
      await slipway.run(['token', 'create', '--name', 'ci', '--allow', 'push:team/**', '--expires', '1h'])
    ).trim()
    for (const name of ['open/app', 'team/app', 'ben/app']) await slipway.run(['tag', 'base:1', `${name}:1`])
    served = await slipway.serve()
    engine = await startEngine()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  it('docker pulls without a login what is open, and is told so elsewhere', async () => {
    await engine.docker(['pull', '--quiet', image('open/app:1')])
    const refused = await engine.tryDocker(['pull', image('team/app:1')])
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /docker login|unauthorized|denied/)
  })

  it('docker refuses to log in with a wrong password', async () => {
    const { code, stderr } = await engine.tryDocker(
      ['login', '-u', 'anna', '--password-stdin', served.host],
      {
        input: 'wrong',
      },
    )
    assert.notEqual(code, 0)
    assert.match(stderr, /the user name, the password or the token is wrong/)
  })

  it('docker logs in, pulls, pushes with mounts, is refused where it has no right, and logs out', async () => {
    await engine.docker(['login', '-u', 'ben', '--password-stdin', served.host], { input: "ben's password" })
    await engine.docker(['pull', '--quiet', image('ben/app:1')])
    await engine.docker(['tag', image('ben/app:1'), image('ben/other:2')])
    await engine.docker(['push', image('ben/other:2')])
    await engine.docker(['tag', image('ben/app:1'), image('team/other:2')])
    const refused = await engine.tryDocker(['push', image('team/other:2')])
    assert.notEqual(refused.code, 0)
    assert.match(`${refused.stdout}${refused.stderr}`, /denied|unauthorized/)
    await engine.docker(['logout', served.host])
    assert.notEqual((await engine.tryDocker(['push', image('ben/other:2')])).code, 0)
  })

  it('docker logs in with the token of a robot, and does what that may', async () => {
    await engine.docker(['login', '-u', 'robot$ci', '--password-stdin', served.host], { input: robot })
    await engine.docker(['pull', '--quiet', image('team/app:1')])
    await engine.docker(['tag', image('team/app:1'), image('team/by-robot:1')])
    await engine.docker(['push', image('team/by-robot:1')])
    assert.notEqual((await engine.tryDocker(['pull', image('ben/app:1')])).code, 0)
    await engine.docker(['logout', served.host])
  })

  it('podman and buildah log in, pull, build and push', async () => {
    const authfile = join(world.scratch, 'podman-auth.json')
    const auth = ['--authfile', authfile, plain]
    await succeed('podman', [...login('anna'), ...auth, served.host], { input: "anna's password" })
    await podman(['pull', '--quiet', ...auth, image('team/app:1')])
    await podman(['push', '--quiet', ...auth, image('team/app:1'), image('team/by-podman:1')])
    const context = await world.folder('buildah-login', {
      Dockerfile: `FROM ${image('team/by-podman:1')}\nCOPY file /\n`,
      file: 'x',
    })
    await buildah(['build', ...auth, '--isolation', 'chroot', '-t', image('team/by-buildah:1'), context])
    await buildah(['push', ...auth, image('team/by-buildah:1')])
    await succeed('podman', ['logout', '--authfile', authfile, served.host])
    assert.notEqual(
      (await run('podman', ['login', ...auth, '-u', 'anna', '-p', 'wrong', served.host])).code,
      0,
    )
  })

  it('skopeo logs in, copies, inspects and deletes', async () => {
    const authfile = join(world.scratch, 'skopeo-auth.json')
    await succeed('skopeo', [...login('anna'), '--authfile', authfile, plain, served.host], {
      input: "anna's password",
    })
    const skopeo = (...args: readonly string[]) => succeed('skopeo', ['--insecure-policy', ...args])
    const both = ['--src-tls-verify=false', '--dest-tls-verify=false', '--authfile', authfile]
    await skopeo('copy', ...both, `docker://${image('team/app:1')}`, `docker://${image('team/by-skopeo:1')}`)
    await skopeo('inspect', plain, '--authfile', authfile, `docker://${image('team/by-skopeo:1')}`)
    await skopeo('delete', plain, '--authfile', authfile, `docker://${image('team/by-skopeo:1')}`)
    await skopeo('inspect', plain, '--no-creds', `docker://${image('open/app:1')}`)
    const creds = ['--creds', "ben:ben's password"]
    await skopeo('inspect', plain, ...creds, `docker://${image('ben/app:1')}`)
    const refused = await run('skopeo', ['inspect', plain, ...creds, `docker://${image('team/app:1')}`])
    assert.notEqual(refused.code, 0)
  })

  it('containerd fetches and pushes with --user', async () => {
    const ctr = (...args: readonly string[]) => succeed('ctr', ['--address', engine.containerd, ...args])
    const user = ['--plain-http', '--user', "anna:anna's password"]
    await ctr('content', 'fetch', ...user, image('team/app:1'))
    await ctr('images', 'push', ...user, image('team/by-ctr:1'), image('team/app:1'))
    await ctr('content', 'fetch', '--plain-http', image('open/app:1'))
    const wrong = ['--address', engine.containerd, 'content', 'fetch', '--plain-http', '--user', 'anna:wrong']
    assert.notEqual((await run('ctr', [...wrong, image('team/app:1')])).code, 0)
  })

  it('our own push, pull and build take what docker login has left', async () => {
    const folder = join(world.scratch, 'docker-config')
    await mkdir(folder)
    const auth = Buffer.from("anna:anna's password").toString('base64')
    await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [served.host]: { auth } } }))
    const other = slipwayAt(join(world.scratch, 'other-store'), { DOCKER_CONFIG: folder })
    await other.run(['pull', image('team/app:1')])
    await other.run(['tag', image('team/app:1'), image('team/by-slipway:1')])
    await other.run(['push', image('team/by-slipway:1')])
    const context = await world.folder('ours', {
      Dockerfile: `FROM ${image('ben/app:1')}\nCOPY file /\n`,
      file: 'y',
    })
    await other.run(['build', '--push', '-t', image('team/built:1'), context])
    const stranger = slipwayAt(join(world.scratch, 'stranger-store'))
    await stranger.run(['pull', image('open/app:1')])
    const refused = await stranger.try(['pull', image('team/built:1')])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /docker login/)
  })
})
