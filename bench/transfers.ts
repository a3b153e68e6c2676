/**
 * How much memory `serve` takes while many push and pull at once, and how fast a large push ends:
 *
 *   bin/node bench/transfers.ts [CLIENTS] [MEGABYTES] [LARGE_MEGABYTES]
 *
 * CLIENTS uploads and as many downloads of MEGABYTES each run at once (200 and 8), then one layer of LARGE_MEGABYTES
 * (1024) is sent. Everything stays on the loopback interface and in a temporary folder (`TMPDIR`), and is removed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MB = 1024 * 1024
const CHUNK = randomBytes(64 * 1024)
const [clients = 200, megabytes = 8, largeMegabytes = 1024] = process.argv.slice(2).map(Number)

const root = mkdtempSync(join(tmpdir(), 'slipway-bench-'))
const server = spawn(
  join(import.meta.dirname, '../bin/slipway'),
  ['serve', '--root', root, '--listen', '127.0.0.1:0', '--log', 'off'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
try {
  const port = await portOf(server)
  const pulled = await upload(port, 'shared', megabytes, 'sha256')
  say(`at rest: ${memory(server)}`)
  const work: Promise<unknown>[] = []
  const started = performance.now()
  for (let index = 0; index < clients; index++) {
    work.push(upload(port, `own-${index}`, megabytes, 'sha256'))
    work.push(download(port, pulled.digest))
  }
  await Promise.all(work)
  const seconds = (performance.now() - started) / 1000
  say(
    `${clients} uploads and ${clients} downloads of ${megabytes} MB: ${memory(server)}, ${seconds.toFixed(1)} s`,
  )
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const large = await upload(port, `large-${algorithm}`, largeMegabytes, algorithm)
    say(
      `a layer of ${largeMegabytes} MB (${algorithm}): ${memory(server)}, its closing PUT took ${large.closingMs.toFixed(0)} ms`,
    )
  }
} finally {
  server.kill('SIGTERM')
  agent.destroy()
  await once(server, 'exit')
  rmSync(root, { recursive: true })
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function portOf(child: ChildProcess): Promise<number> {
  let printed = ''
  for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    printed += chunk
    const found = /127\.0\.0\.1:(\d+)/.exec(printed)
    if (found !== null) return Number(found[1])
  }
  throw new Error(`serve ended: ${printed}`)
}

/** Now, and the most so far. */
function memory({ pid }: ChildProcess): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const megabytesOf = (name: string): string => {
    const kilobytes = Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
    return `${Math.round(kilobytes / 1024)} MB`
  }
  return `${megabytesOf('VmRSS')} resident, at most ${megabytesOf('VmHWM')}`
}

/** One PATCH without a length, then the closing PUT: as docker and podman do it. */
async function upload(
  port: number,
  name: string,
  size: number,
  algorithm: 'sha256' | 'sha512',
): Promise<{ readonly digest: string; readonly closingMs: number }> {
  const begun = await answer(open(port, 'POST', `/v2/app/blobs/uploads/?digest-algorithm=${algorithm}`), 202)
  const location = begun.headers.location ?? ''
  const patch = open(port, 'PATCH', location)
  const patched = answer(patch, 202, false)
  const hash = createHash(algorithm)
  for (let sent = 0; sent < size * MB; sent += CHUNK.length) {
    const chunk = sent === 0 ? Buffer.concat([Buffer.from(name), CHUNK]).subarray(0, CHUNK.length) : CHUNK
    hash.update(chunk)
    if (!patch.write(chunk)) await once(patch, 'drain')
  }
  patch.end()
  await patched
  const digest = `${algorithm}:${hash.digest('hex')}`
  const closing = performance.now()
  await answer(open(port, 'PUT', `${location}?digest=${digest}`), 201)
  return { digest, closingMs: performance.now() - closing }
}

async function download(port: number, digest: string): Promise<void> {
  await answer(open(port, 'GET', `/v2/app/blobs/${digest}`), 200)
}

function open(port: number, method: string, path: string): ClientRequest {
  return request({ host: '127.0.0.1', port, method, path, agent })
}

async function answer(sent: ClientRequest, status: number, end = true): Promise<IncomingMessage> {
  if (end) sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  if (response.statusCode !== status)
    throw new Error(`${sent.method} ${sent.path}: ${response.statusCode}, want ${status}`)
  return response
}
