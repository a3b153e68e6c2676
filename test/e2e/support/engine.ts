import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sidEngineRootfs } from './base-images.ts'
import { findProgram, type Outcome, type RunOptions, run, succeed } from './process.ts'

/** A Docker engine of the test's own: its socket, folders and images are not those of the machine. */
export interface Engine extends AsyncDisposable {
  /** Such as `28.5.2`. */
  readonly version: string
  /** The daemon, above all processes of the engine. */
  readonly pid: number
  docker(args: readonly string[], options?: RunOptions): Promise<string>
  tryDocker(args: readonly string[], options?: RunOptions): Promise<Outcome>
  /** The socket of its containerd. */
  readonly containerd: string
  /** What skopeo needs to read `docker-daemon:` images of this engine. */
  readonly skopeoArguments: readonly string[]
  /** `docker build` by the engine's BuildKit, which may fail. */
  tryBuild(args: readonly string[], options?: RunOptions): Promise<Outcome>
  /** A build that must succeed; returns what it printed. */
  build(args: readonly string[], options?: RunOptions): Promise<string>
}

type Command = readonly [program: string, ...args: string[]]

/** Where an engine's programs are, and so how they are called. */
interface Installation {
  readonly daemon: Command
  /** @param daemon the process of the engine; @param cwd where the client shall work */
  client(daemon: number, cwd: string): Command
}

/** The engine that this machine has installed: for Debian 12, one of 2020 with the graph driver as its store. */
export async function startEngine(options: readonly string[] = []): Promise<Engine> {
  const dockerd = findProgram('dockerd')
  assert.ok(dockerd, 'dockerd is installed')
  // Debian's client speaks the engine's version; another `docker` may stand before it in PATH.
  const client = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker'
  return start({ daemon: [dockerd], client: () => [client] }, options)
}

/**
 * The engine of Debian sid: BuildKit of our day, with containerd's image store. It sees no file of this machine but those
 * below the folder for temporary ones and /etc/docker/certs.d.
 */
export async function startNewEngine(options: readonly string[] = []): Promise<Engine> {
  const root = await sidEngineRootfs()
  return start(
    {
      daemon: ['unshare', '--mount', 'sh', '-euc', ENTER, 'sh', root, tmpdir()],
      client: (daemon, cwd) => [
        ...(['nsenter', '--target', `${daemon}`, '--mount', '--root', `--wdns=${cwd}`] as const),
        'docker',
      ],
    },
    ['--feature', 'containerd-snapshotter=true', ...options],
  )
}

/** The newest engine that can be had; when it is only the installed one, stderr tells why. */
export async function startNewestEngine(): Promise<Engine> {
  try {
    return await startNewEngine()
  } catch (error) {
    process.stderr.write(
      `The engine of Debian sid cannot be had, so the installed one is asked instead: ${error instanceof Error ? error.message : error}\n`,
    )
    return startEngine()
  }
}

/**
 * In a mount namespace of its own, which takes all mounts with it when it ends. The root is mounted over itself, because
 * runc wants the root directory to be a mount point. The authorities that it trusts are this machine's.
 */
const ENTER = `root=$1 temporary=$2; shift 2
mount --bind "$root" "$root"
for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
mkdir -p "$root$temporary"
mount --bind "$temporary" "$root$temporary"
mkdir -p /etc/docker/certs.d "$root/etc/docker/certs.d"
mount --bind /etc/docker/certs.d "$root/etc/docker/certs.d"
mount -t tmpfs tmpfs "$root/run"
exec chroot "$root" dockerd "$@"`

async function start(installation: Installation, options: readonly string[]): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-engine-'))
  const socket = `unix://${folder}/docker.sock`
  await mkdir(join(folder, 'config'))
  const folders = ['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`]
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false']
  const [program, ...args] = installation.daemon
  const daemon = spawn(
    program,
    [
      ...args,
      ...folders,
      ...network,
      ...options,
      ...['--pidfile', `${folder}/pid`, '-H', socket, '--insecure-registry', '127.0.0.0/8'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  daemon.stderr.on('data', chunk => {
    log = (log + chunk.toString()).slice(-8192)
  })
  const ended = new Promise<void>(resolve => daemon.once('close', () => resolve()))
  const env = { DOCKER_HOST: socket, DOCKER_CONFIG: join(folder, 'config'), DOCKER_BUILDKIT: '1' }
  const call = (how: typeof run | typeof succeed, args: readonly string[], options: RunOptions) => {
    const [client, ...before] = installation.client(daemon.pid ?? 0, options.cwd ?? folder)
    return how(client, [...before, ...args], { ...options, env: { ...env, ...options.env } })
  }
  const tryDocker = (args: readonly string[], options: RunOptions = {}) =>
    call(run, args, options) as Promise<Outcome>
  const docker = (args: readonly string[], options: RunOptions = {}) =>
    call(succeed, args, options) as Promise<string>
  const tryBuild = (args: readonly string[], options?: RunOptions) =>
    tryDocker(['build', '--network=host', '--progress=plain', ...args], options)
  const engine: Omit<Engine, 'version'> = {
    pid: daemon.pid ?? 0,
    containerd: `${folder}/exec/containerd/containerd.sock`,
    skopeoArguments: ['--src-daemon-host', socket],
    docker,
    tryDocker,
    tryBuild,
    async build(args, options) {
      const { code, stdout, stderr } = await tryBuild(args, options)
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
    const asked = await tryDocker(['version', '--format', '{{.Server.Version}}'])
    if (asked.code === 0) return { ...engine, version: asked.stdout.trim() }
    if (daemon.exitCode !== null) break
    await sleep(100)
  }
  await engine[Symbol.asyncDispose]()
  assert.fail(`the Docker engine did not start:\n${log}`)
}
