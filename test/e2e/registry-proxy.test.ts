/** Real clients pull from Debian's docker-registry, in Docker Hub's place, through `slipway serve`. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { eventually } from './support/containers.ts'
import { type Distribution, startDistribution } from './support/distribution.ts'
import { startEngine, startNewEngine } from './support/engine.ts'
import { type Front, startFront } from './support/front.ts'
import { podmanIn } from './support/peers.ts'
import { run, succeed } from './support/process.ts'
import { type Served, type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = [
  'dockerd',
  'docker',
  'podman',
  'skopeo',
  'runc',
  'docker-registry',
  'containerd',
  'ctr',
  'mmdebstrap',
  'unshare',
]
const IMAGES = [
  'app',
  'by-docker',
  'by-engine',
  'guarded',
  'by-containerd',
  'by-podman',
  'by-build',
  'offline',
]

describe('pulling through', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let hub: Distribution
  let front: Front
  let proxy: Slipway
  let served: Served

  before(async () => {
    world = await createWorld({ base: true })
    hub = await startDistribution(join(world.scratch, 'hub'))
    front = await startFront(hub.host)
    for (const name of IMAGES) {
      const context = await world.folder(name, {
        Dockerfile: `FROM base:1\nRUN echo ${name} > /made\nCMD ["cat", "/made"]\n`,
      })
      await world.slipway.run(['build', '--network=host', '-t', `${hub.host}/library/${name}:1`, context])
      await world.slipway.run(['push', `${hub.host}/library/${name}:1`])
    }
    const config = join(world.scratch, 'proxy.toml')
    await writeFile(
      config,
      `[proxy]
upstreams = ["docker.io"]
default = "docker.io"
revalidate = "0"

[registry."docker.io"]
mirrors = ["${front.host}"]
`,
    )
    proxy = slipwayAt(join(world.scratch, 'proxy-store'), { SLIPWAY_CONFIG: config })
    served = await proxy.serve()
  })
  after(async () => {
    await served?.[Symbol.asyncDispose]()
    await front?.[Symbol.asyncDispose]()
    await hub?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  /** What was fetched of an image more than once. */
  const fetchedAgain = (name: string): readonly string[] => {
    const fetched = front.seen.filter(line => line.startsWith(`GET /v2/library/${name}/`))
    assert.ok(fetched.length >= 3, fetched.join('\n'))
    return fetched.filter((line, index) => fetched.indexOf(line) !== index)
  }

  it('twenty skopeos at once fetch each thing once', async () => {
    const copies = Array.from({ length: 20 }, (_, number) =>
      succeed('skopeo', [
        '--insecure-policy',
        'copy',
        '--src-tls-verify=false',
        `docker://${served.host}/docker.io/library/app:1`,
        `dir:${join(world.scratch, `copy-${number}`)}`,
      ]),
    )
    await Promise.all(copies)
    assert.deepEqual(fetchedAgain('app'), [])
  })

  it('docker 20.10 pulls with us as its --registry-mirror', async () => {
    await using engine = await startEngine(['--registry-mirror', `http://${served.host}`])
    await engine.docker(['pull', '--quiet', 'by-docker:1'])
    assert.equal(await engine.docker(['run', '--rm', '--network=host', 'by-docker:1']), 'by-docker\n')
    assert.deepEqual(fetchedAgain('by-docker'), [])
  })

  it('a docker of our day, which names the registry that it means, does too', async () => {
    await using engine = await startNewEngine(['--registry-mirror', `http://${served.host}`])
    await engine.docker(['pull', '--quiet', 'by-engine:1'])
    assert.equal(await engine.docker(['run', '--rm', '--network=host', 'by-engine:1']), 'by-engine\n')
    assert.deepEqual(fetchedAgain('by-engine'), [])
  })

  it('docker pulls anonymously from a mirror with users, what these rights are for and nothing else', async () => {
    const config = join(world.scratch, 'guarded.toml')
    await writeFile(
      config,
      `[proxy]
upstreams = ["docker.io"]
default = "docker.io"

[access.repositories."docker.io/**"]
anonymous = ["pull"]

[registry."docker.io"]
mirrors = ["${front.host}"]
`,
    )
    const guarded = slipwayAt(join(world.scratch, 'guarded-store'), { SLIPWAY_CONFIG: config })
    await using behindLogin = await guarded.serve()
    front.seen.length = 0
    for (const start of [startEngine, startNewEngine]) {
      await using engine = await start(['--registry-mirror', `http://${behindLogin.host}`])
      await engine.docker(['pull', '--quiet', 'guarded:1'])
    }
    assert.deepEqual(fetchedAgain('guarded'), [])
    const asked = await fetch(`http://${behindLogin.host}/v2/library/guarded/blobs/uploads/`, {
      method: 'POST',
    })
    assert.equal(asked.status, 401)
    assert.match(asked.headers.get('www-authenticate') ?? '', /Bearer/)
  })

  it('containerd pulls with us in its hosts.toml', async () => {
    const state = join(world.scratch, 'containerd')
    const hosts = join(state, 'certs.d/docker.io')
    await mkdir(hosts, { recursive: true })
    await writeFile(
      join(hosts, 'hosts.toml'),
      `server = "https://registry-1.docker.io"\n\n[host."http://${served.host}"]\n  capabilities = ["pull", "resolve"]\n`,
    )
    const socket = join(state, 'containerd.sock')
    const daemon = spawn(
      'containerd',
      ['--address', socket, '--root', join(state, 'root'), '--state', join(state, 'run')],
      { stdio: 'ignore' },
    )
    const ended = new Promise(resolve => daemon.once('close', resolve))
    try {
      await eventually(() => succeed('ctr', ['--address', socket, 'version']))
      const name = 'docker.io/library/by-containerd:1'
      const pull = ['images', 'pull', '--snapshotter=native', '--hosts-dir', join(state, 'certs.d'), name]
      await succeed('ctr', ['--address', socket, ...pull])
      assert.match(await succeed('ctr', ['--address', socket, 'images', 'ls', '-q']), /by-containerd:1/)
      assert.deepEqual(fetchedAgain('by-containerd'), [])
    } finally {
      daemon.kill('SIGTERM')
      await ended
    }
  })

  it('podman pulls with us as the mirror in its registries.conf', async () => {
    const config = join(world.scratch, 'registries.conf')
    await writeFile(
      config,
      `[[registry]]
location = "docker.io"

[[registry.mirror]]
location = "${served.host}/docker.io"
insecure = true
`,
    )
    const podman = podmanIn(world.scratch)
    await podman(['--registries-conf', config, 'pull', 'docker.io/library/by-podman:1'])
    assert.deepEqual(fetchedAgain('by-podman'), [])
  })

  it('a push to a name of another registry is refused, one to a name of ours is not', async () => {
    const source = `docker://${served.host}/docker.io/library/app:1`
    const copy = ['--insecure-policy', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false', source]
    const refused = await run('skopeo', [...copy, `docker://${served.host}/docker.io/library/app:2`])
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /denied|hold images from elsewhere/)
    await succeed('skopeo', [...copy, `docker://${served.host}/library/app:ours`])
    await succeed('skopeo', [
      'inspect',
      '--tls-verify=false',
      '--raw',
      `docker://${served.host}/library/app:ours`,
    ])
  })

  it('what a build pulled is served, and what was pulled through is built on, while the upstream is down', async () => {
    await succeed('skopeo', [
      '--insecure-policy',
      'copy',
      '--src-tls-verify=false',
      `docker://${served.host}/docker.io/library/offline:1`,
      `dir:${join(world.scratch, 'offline-copy')}`,
    ])
    const onBuild = await world.folder('on-build', {
      Dockerfile: 'FROM by-build:1\nRUN cat /made > /again\n',
    })
    await proxy.run(['build', '--network=host', '-t', 'on-build', onBuild])
    await front.stop()
    const offline = await world.folder('on-offline', {
      Dockerfile: 'FROM offline:1\nRUN cat /made > /again\nFROM scratch\nCOPY --from=0 /again /\n',
    })
    await proxy.run(['build', '--network=host', '-t', 'on-offline', offline])
    for (const name of ['by-build', 'offline', 'app'])
      await succeed('skopeo', [
        '--insecure-policy',
        'copy',
        '--src-tls-verify=false',
        `docker://${served.host}/docker.io/library/${name}:1`,
        `dir:${join(world.scratch, `${name}-offline`)}`,
      ])
  })
})
