/**
 * The image of Slipway, built by Slipway from the repository's own Dockerfile and pulled by a Docker engine: what it builds
 * and serves, with each of the privileges that a container may have.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ownCapabilities } from '../../src/builder/exec/capabilities.ts'
import { debianRootfs } from './support/base-images.ts'
import { eventually, freePort, startContainer } from './support/containers.ts'
import { type Engine, startEngine } from './support/engine.ts'
import type { Outcome } from './support/process.ts'
import type { Served } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['dockerd', 'docker', 'mmdebstrap', 'runc']
const PROJECT = join(import.meta.dirname, '../..')
/** Those that an engine of 2020 does not know. */
const NEW_CAPABILITIES = ['CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE']
/** `--privileged`, but for capabilities that this machine itself has not: the engine would refuse to give them. */
const ALL_PRIVILEGES = [
  ...ownCapabilities()
    .filter(name => !NEW_CAPABILITIES.includes(name))
    .map(name => `--cap-add=${name}`),
  ...['seccomp', 'apparmor', 'systempaths'].map(name => `--security-opt=${name}=unconfined`),
  '--device-cgroup-rule=a *:* rwm',
  '--volume=/sys/fs/cgroup:/sys/fs/cgroup',
]
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

describe('the image of Slipway', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let engine: Engine
  let served: Served
  let image: string
  let made = 0
  before(async () => {
    world = await createWorld({ base: true })
    await world.slipway.run(['import', await debianRootfs(), 'debian:bookworm-slim'])
    const options = ['--network=host', '--secret', `id=ca,src=${CERTIFICATES}`, '-t', 'slipway']
    await world.slipway.run(['build', ...options, PROJECT], { timeoutMs: 900_000 })
    served = await world.slipway.serve()
    engine = await startEngine()
    image = `${served.host}/slipway`
    await engine.docker(['pull', '--quiet', image])
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  /** `slipway ARGS` in a container with these privileges, and a context on its standard input. */
  function inContainer(
    privileges: readonly string[],
    args: readonly string[],
    dockerfile = '',
  ): Promise<Outcome> {
    const options = ['run', '--rm', '--interactive', '--network=host', ...privileges, image]
    return engine.tryDocker([...options, ...args], { input: dockerfile })
  }

  async function assertBuilds(privileges: readonly string[], options: readonly string[] = []): Promise<void> {
    const dockerfile = `FROM ${served.host}/base:1\nRUN id -u > /who && echo made > /made\nUSER app\nRUN id -u >> /tmp/who\n`
    const name = `${served.host}/made-${++made}`
    const args = ['build', '--network=host', ...options, '-t', name, '--push', '-']
    const { code, stderr } = await inContainer(privileges, args, dockerfile)
    assert.equal(code, 0, stderr)
    await engine.docker(['pull', '--quiet', name])
    const shown = await engine.docker([
      'run',
      '--rm',
      '--network=host',
      name,
      'cat',
      '/who',
      '/made',
      '/tmp/who',
    ])
    assert.equal(shown, '0\nmade\n1000\n')
  }

  it('tells its version, and what it can do', async () => {
    assert.match((await inContainer([], ['--version'])).stdout, /^slipway \d/)
    assert.match((await inContainer([], ['--help'])).stdout, /build/)
  })

  it('builds with --privileged', () => assertBuilds(ALL_PRIVILEGES))

  it('builds as an ordinary user where the engine lets containers have user namespaces', () =>
    assertBuilds([
      '--user=slipway',
      '--security-opt=seccomp=unconfined',
      '--security-opt=apparmor=unconfined',
    ]))

  it('builds by chroot with the privileges that every container has', () =>
    assertBuilds([], ['--isolation=chroot']))

  it('builds all but RUN with no privilege at all', async () => {
    const dockerfile = `FROM ${served.host}/base:1\nCOPY <<made /made\nwithout privilege\nmade\n`
    const name = `${served.host}/copied`
    const privileges = ['--user=slipway', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--read-only']
    const folders = ['--tmpfs=/tmp', '--tmpfs=/home/slipway:uid=1000,gid=1000,mode=0700']
    const args = ['build', '-t', name, '--push', '-']
    const { code, stderr } = await inContainer([...privileges, ...folders], args, dockerfile)
    assert.equal(code, 0, stderr)
    await engine.docker(['pull', '--quiet', name])
    assert.equal(
      await engine.docker(['run', '--rm', '--network=host', name, 'cat', '/made']),
      'without privilege\n',
    )
  })

  it('serves as an ordinary user, and stops when it is told to', async () => {
    const port = await freePort()
    const args = ['serve', '--listen', `127.0.0.1:${port}`]
    await using server = await startContainer(engine, image, ['--user=slipway'], args)
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/v2/`)).status)
    const small = `${served.host}/base:1`
    const pushed = `127.0.0.1:${port}/pushed`
    await engine.docker(['pull', '--quiet', small])
    await engine.docker(['tag', small, pushed])
    await engine.docker(['push', '--quiet', pushed])
    assert.match(await server.exec(['slipway', 'images']), /pushed/)
    assert.equal(await server.stop(20), 0)
  })
})
