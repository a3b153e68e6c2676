import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram, run, succeed } from './process.ts'

/** A containerd of the test's own, and its client. */
export interface Containerd extends AsyncDisposable {
  ctr(args: readonly string[]): Promise<string>
}

/** @param folder holds all of it; its path must be short, for a socket's name is */
export async function startContainerd(folder: string): Promise<Containerd> {
  const program = findProgram('containerd')
  assert.ok(program, 'containerd is installed')
  await mkdir(folder, { recursive: true })
  const socket = join(folder, 'c.sock')
  const config = join(folder, 'config.toml')
  await writeFile(
    config,
    `version = 2
root = ${JSON.stringify(join(folder, 'root'))}
state = ${JSON.stringify(join(folder, 'state'))}
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = ${JSON.stringify(socket)}
`,
  )
  const daemon = spawn(program, ['--config', config, '--log-level', 'error'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  daemon.stderr.on('data', chunk => {
    log = (log + chunk.toString()).slice(-8192)
  })
  const ended = new Promise<void>(resolve => daemon.once('close', () => resolve()))
  const containerd: Containerd = {
    ctr: args => succeed('ctr', ['--address', socket, ...args]),
    async [Symbol.asyncDispose]() {
      daemon.kill('SIGTERM')
      await ended
    },
  }
  for (let tries = 0; tries < 200; tries++) {
    if ((await run('ctr', ['--address', socket, 'version'])).code === 0) return containerd
    if (daemon.exitCode !== null) break
    await sleep(50)
  }
  await containerd[Symbol.asyncDispose]()
  assert.fail(`containerd did not start:\n${log}`)
}
