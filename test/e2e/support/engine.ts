import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram, type Outcome, type RunOptions, run, succeed } from './process.ts'

/** A Docker engine of the test's own: its socket, folders and images are not those of the machine. */
export interface Engine extends AsyncDisposable {
  docker(args: readonly string[], options?: RunOptions): Promise<string>
  tryDocker(args: readonly string[], options?: RunOptions): Promise<Outcome>
  /** What skopeo needs to read `docker-daemon:` images of this engine. */
  readonly skopeoArguments: readonly string[]
  /** `docker build` by the engine's BuildKit; returns what it printed. */
  build(args: readonly string[], options?: RunOptions): Promise<string>
}

export async function startEngine(): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-engine-'))
  const socket = `unix://${folder}/docker.sock`
  const dockerd = findProgram('dockerd')
  assert.ok(dockerd, 'dockerd is installed')
  await mkdir(join(folder, 'config'))
  const daemon = spawn(
    dockerd,
    [
      ...[
        '--data-root',
        join(folder, 'data'),
        '--exec-root',
        join(folder, 'exec'),
        '--pidfile',
        join(folder, 'pid'),
      ],
      ...[
        '-H',
        socket,
        '--bridge=none',
        '--iptables=false',
        '--ip6tables=false',
        '--insecure-registry',
        '127.0.0.0/8',
      ],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  daemon.stderr.on('data', chunk => {
    log = (log + chunk.toString()).slice(-8192)
  })
  const ended = new Promise<void>(resolve => daemon.once('close', () => resolve()))
  // Debian's client speaks the engine's version; another `docker` may stand before it in PATH.
  const client = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker'
  const env = { DOCKER_HOST: socket, DOCKER_CONFIG: join(folder, 'config'), DOCKER_BUILDKIT: '1' }
  const engine: Engine = {
    skopeoArguments: ['--src-daemon-host', socket],
    docker: (args, options = {}) => succeed(client, args, { ...options, env: { ...env, ...options.env } }),
    tryDocker: (args, options = {}) => run(client, args, { ...options, env: { ...env, ...options.env } }),
    async build(args, options = {}) {
      const { code, stdout, stderr } = await run(
        client,
        ['build', '--network=host', '--progress=plain', ...args],
        { ...options, env: { ...env, ...options.env } },
      )
      assert.equal(code, 0, `docker build ${args.join(' ')}\n${stdout}\n${stderr}`)
      return stdout + stderr
    },
    async [Symbol.asyncDispose]() {
      daemon.kill('SIGTERM')
      await ended
      // Host networking leaves a bind mount of the network namespace; without a container there is none.
      await run('umount', [join(folder, 'exec/netns/default')])
      await rm(folder, { recursive: true, force: true })
    },
  }
  for (let tries = 0; tries < 300; tries++) {
    if ((await engine.tryDocker(['info'])).code === 0) return engine
    if (daemon.exitCode !== null) break
    await sleep(100)
  }
  await engine[Symbol.asyncDispose]()
  assert.fail(`the Docker engine did not start:\n${log}`)
}
