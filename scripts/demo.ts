/**
 * `npm run demo`: makes a base image, builds the example, serves it, pulls it with a real Docker engine and runs it.
 * Everything lies in folders of the demo's own below `.slipway/`, and everything that it starts ends with it. The
 * store stays, so that a second run shows the cache.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const ROOT = join(import.meta.dirname, '..')
const SLIPWAY = join(ROOT, 'bin/slipway')
const STATE = join(ROOT, '.slipway')
const BASE_TAR = join(STATE, 'bookworm-minbase.tar')
const IMAGE = 'example:1.0'

const env = { ...process.env, SLIPWAY_ROOT: join(STATE, 'store') }
const running: ChildProcess[] = []
const scratch = await mkdtemp(join(tmpdir(), 'slipway-demo-'))

try {
  if (process.getuid?.() !== 0) throw new Error("RUN needs root in this version: run 'sudo npm run demo'")
  await demo()
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
} finally {
  for (const child of running.reverse()) await stop(child)
  // Host networking leaves a bind mount of the network namespace in the engine's folder.
  await ended(spawn('umount', [join(scratch, 'exec/netns/default')], { stdio: 'ignore' }))
  rmSync(scratch, { recursive: true, force: true })
}

async function demo(): Promise<void> {
  mkdirSync(STATE, { recursive: true })
  step('1. A base image, bootstrapped from Debian packages and imported (no Docker Hub is needed)')
  await makeBaseImage()

  step('2. Build the example: fixtures/example/Dockerfile')
  await slipway('build', '--network', 'host', '-t', IMAGE, join(ROOT, 'fixtures/example'))

  step('3. Build it again: nothing has changed, so nothing runs')
  await slipway('build', '--network', 'host', '-t', IMAGE, join(ROOT, 'fixtures/example'))

  step('4. Serve the store: the image is pullable, without a push')
  const host = await serve()

  step(`5. Pull it with a Docker engine, and run it`)
  const docker = await startEngine()
  await command(docker.program, [...docker.args, 'pull', `${host}/${IMAGE}`])
  await command(docker.program, [...docker.args, 'run', '--rm', '--network=host', `${host}/${IMAGE}`])

  console.log(`
It works. What you would do next:

  bin/slipway build -t app:1.0 PATH          build an image of yours (a name without a host is your own)
  bin/slipway serve --listen 0.0.0.0:5000    serve every image of the store on the LAN
  docker pull 127.0.0.1:5000/app:1.0         pull it here; elsewhere with this machine's address and
                                             "insecure-registries" in the engine's daemon.json
  bin/slipway images                         list what there is
  bin/slipway --help                         everything else

The demo's own store is ${env.SLIPWAY_ROOT}; delete ${STATE} to forget it.`)
}

async function makeBaseImage(): Promise<void> {
  if (!existsSync(BASE_TAR)) {
    const partial = `${BASE_TAR}.partial`
    await command('mmdebstrap', ['--variant=minbase', '--quiet', '--format=tar', 'bookworm', partial])
    renameSync(partial, BASE_TAR)
  }
  await slipway('import', BASE_TAR, 'debian:bookworm-slim', '--change', 'CMD ["bash"]')
}

async function serve(): Promise<string> {
  const child = start(SLIPWAY, ['serve', '--listen', '127.0.0.1:0'])
  let printed = ''
  child.stdout?.on('data', chunk => {
    process.stdout.write(chunk)
    printed += chunk
  })
  for (let tries = 0; tries < 100 && child.exitCode === null; tries++) {
    const host = /127\.0\.0\.1:[1-9]\d*/.exec(printed)?.[0]
    if (host !== undefined) return host
    await sleep(100)
  }
  throw new Error(`the registry did not start: ${printed}`)
}

/** An engine of the demo's own, so that the machine's keeps its images to itself. */
async function startEngine(): Promise<{ program: string; args: readonly string[] }> {
  const program = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker'
  const socket = `unix://${scratch}/docker.sock`
  const folders = ['--data-root', join(scratch, 'data'), '--exec-root', join(scratch, 'exec')]
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false']
  start('dockerd', ['-H', socket, ...folders, '--pidfile', join(scratch, 'pid'), ...network])
  const args = ['--config', join(scratch, 'config'), '-H', socket]
  for (let tries = 0; tries < 300; tries++) {
    if (await answers(program, args)) return { program, args }
    await sleep(100)
  }
  throw new Error('the Docker engine did not start')
}

async function answers(program: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(program, [...args, 'info'], { stdio: 'ignore' })
  return (await ended(child)) === 0
}

function slipway(...args: readonly string[]): Promise<void> {
  return command(SLIPWAY, args)
}

async function command(program: string, args: readonly string[]): Promise<void> {
  console.log(
    `$ ${[program.replace(`${ROOT}/`, ''), ...args.map(argument => argument.replace(`${ROOT}/`, ''))].join(' ')}`,
  )
  const code = await ended(spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'] }))
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with exit code ${code}`)
}

function start(program: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'ignore'] })
  running.push(child)
  return child
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const end = ended(child)
  child.kill('SIGTERM')
  await end
}

function step(title: string): void {
  console.log(`\n\x1b[1m${title}\x1b[0m`)
}
