import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram } from './process.ts'

export interface Distribution extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly pid: number
}

/** Debian's `docker-registry`, which is distribution 2.8, on a free port, with deletion on. */
export async function startDistribution(folder: string): Promise<Distribution> {
  const program = findProgram('docker-registry')
  assert.ok(program, 'docker-registry is installed')
  const port = await freePort()
  await mkdir(folder, { recursive: true })
  const config = join(folder, 'config.yml')
  await writeFile(
    config,
    `version: 0.1
log: { accesslog: { disabled: true }, level: error }
storage:
  filesystem: { rootdirectory: ${join(folder, 'data')} }
  delete: { enabled: true }
http: { addr: "127.0.0.1:${port}" }
`,
  )
  const child = spawn(program, ['serve', config], { stdio: 'ignore' })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  const host = `127.0.0.1:${port}`
  for (let tries = 0; !(await answers(host)); tries++) {
    assert.ok(tries < 200, 'docker-registry does not answer')
    await sleep(50)
  }
  return {
    host,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function answers(host: string): Promise<boolean> {
  try {
    return (await fetch(`http://${host}/v2/`)).ok
  } catch {
    return false // not yet
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}
