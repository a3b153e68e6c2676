/** The process behind a load client. It ends when its parent lets go of the channel. */
import { createHash, randomBytes } from 'node:crypto'
import { createNoise } from '../seeded-data.ts'
import { type Answer, type Connection, openConnection } from './connection.ts'
import type { JobName, Jobs, Message, Order, Rate, Reply } from './jobs.ts'

const CHUNK_BYTES = 256 * 1024

let isStopped = false
const digests = new Map<string, string>()

process.on('message', async message => {
  const told = message as Message
  if (told.kind === 'stop') {
    isStopped = true
    return
  }
  isStopped = false
  let reply: Reply
  try {
    reply = { id: told.id, result: await perform(told) }
  } catch (error) {
    reply = { id: told.id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
  process.send?.(reply)
})
process.on('disconnect', () => process.exit())

function perform(order: Order): Promise<Jobs[JobName]['result']> {
  if (order.kind === 'requests') return requests(order.job)
  if (order.kind === 'downloads') return downloads(order.job)
  if (order.kind === 'pushes') return pushes(order.job)
  return smallPushes(order.job)
}

async function requests({ host, connections, seconds, requests }: Jobs['requests']['job']): Promise<Rate> {
  const heads = requests.map(request => headOf(host, request))
  return rate(host, connections, seconds, async (connection, turn) => {
    const head = heads[turn % heads.length] ?? ''
    expect(await connection.ask(head), 200, head)
  })
}

async function downloads({
  host,
  clients,
  seconds,
}: Jobs['downloads']['job']): Promise<Jobs['downloads']['result']> {
  const connections = await openAll(host, clients.length)
  const started = performance.now()
  let bytes = 0
  let isOver = false
  const timer = setTimeout(
    () => {
      isOver = true
      for (const connection of connections) connection.close()
    },
    (seconds ?? 600) * 1000,
  )
  const client = async (connection: Connection, paths: readonly string[]): Promise<void> => {
    do {
      for (const path of paths) {
        const head = headOf(host, `GET ${path}`)
        const { bodyBytes } = expect(await connection.ask(head), 200, head)
        bytes += bodyBytes
      }
    } while (seconds !== undefined && !isOver)
  }
  try {
    await Promise.all(connections.map((connection, index) => client(connection, clients[index] ?? [])))
  } catch (error) {
    if (!isOver || seconds === undefined) throw error
  } finally {
    clearTimeout(timer)
    for (const connection of connections) connection.close()
  }
  return { seconds: (performance.now() - started) / 1000, bytes }
}

async function pushes({
  host,
  repository,
  seeds,
  bytes,
}: Jobs['pushes']['job']): Promise<Jobs['pushes']['result']> {
  // Before the clock starts: real clients know the digest of what they send.
  const blobs = seeds.map(seed => ({ seed, digest: digestOf(seed, bytes) }))
  const connections = await openAll(host, seeds.length)
  const started = performance.now()
  const closingMs = await Promise.all(
    blobs.map(async ({ seed, digest }, index) => {
      const connection = connections[index]
      if (connection === undefined) throw new Error('A connection is missing')
      const location = await beginUpload(connection, host, repository)
      const type = 'content-type: application/octet-stream'
      const patch = headOf(host, `PATCH ${location}\n${type}\ncontent-length: ${bytes}`)
      const patched = expect(await connection.ask(patch, contentOf(seed, bytes)), 202, patch)
      const closing = performance.now()
      const target = withDigest(locationOf(patched), digest)
      const put = headOf(host, `PUT ${target}\ncontent-length: 0`)
      expect(await connection.ask(put), 201, put)
      return performance.now() - closing
    }),
  )
  const seconds = (performance.now() - started) / 1000
  for (const connection of connections) connection.close()
  return { seconds, closingMs, digests: blobs.map(({ digest }) => digest) }
}

async function smallPushes(job: Jobs['smallPushes']['job']): Promise<Rate> {
  const { host, repository, connections, seconds, bytes, seed } = job
  const noise = createNoise(`${seed} ${randomBytes(8).toString('hex')}`)
  return rate(host, connections, seconds, async connection => {
    const blob = noise(bytes)
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`
    const target = withDigest(await beginUpload(connection, host, repository), digest)
    const type = 'content-type: application/octet-stream'
    const put = headOf(host, `PUT ${target}\n${type}\ncontent-length: ${bytes}`)
    expect(await connection.ask(put, [blob]), 201, put)
  })
}

/** How often the action ends in the time, and how long it takes. */
async function rate(
  host: string,
  connections: number,
  seconds: number,
  action: (connection: Connection, turn: number) => Promise<void>,
): Promise<Rate> {
  const open = await openAll(host, connections)
  const times: number[] = []
  const started = performance.now()
  const end = started + seconds * 1000
  await Promise.all(
    open.map(async (connection, index) => {
      let turn = index
      for (let now = performance.now(); now < end && !isStopped; turn++) {
        await action(connection, turn)
        const after = performance.now()
        times.push(after - now)
        now = after
      }
    }),
  )
  const took = (performance.now() - started) / 1000
  for (const connection of open) connection.close()
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? 0
  return { count: times.length, perSecond: times.length / took, p50Ms: at(0.5), p99Ms: at(0.99) }
}

function openAll(host: string, count: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, () => openConnection(host)))
}

async function beginUpload(connection: Connection, host: string, repository: string): Promise<string> {
  const post = headOf(host, `POST /v2/${repository}/blobs/uploads/\ncontent-length: 0`)
  return locationOf(expect(await connection.ask(post), 202, post))
}

/** @param request request line and headers in lines */
function headOf(host: string, request: string): string {
  const [line = '', ...headers] = request.split('\n')
  return [`${line} HTTP/1.1`, `host: ${host}`, ...headers, '', ''].join('\r\n')
}

function expect(answer: Answer, status: number, head: string): Answer {
  if (answer.status === status) return answer
  throw new Error(`Cannot go on: want ${status}, got ${answer.status}\n${head}\n${answer.head}`)
}

function locationOf({ head }: Answer): string {
  const location = /\r\nlocation: *(\S+)/i.exec(head)?.[1] ?? ''
  return location.replace(/^https?:\/\/[^/]+/, '')
}

function withDigest(location: string, digest: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
}

function digestOf(seed: string, bytes: number): string {
  const key = `${seed} ${bytes}`
  const known = digests.get(key)
  if (known !== undefined) return known
  const hash = createHash('sha256')
  for (const chunk of contentOf(seed, bytes)) hash.update(chunk)
  const digest = `sha256:${hash.digest('hex')}`
  digests.set(key, digest)
  return digest
}

/** The same noise again and again, which costs nothing to make. */
function* contentOf(seed: string, bytes: number): Iterable<Uint8Array> {
  const chunk = createNoise(seed)(CHUNK_BYTES)
  for (let left = bytes; left > 0; left -= CHUNK_BYTES)
    yield left < CHUNK_BYTES ? chunk.subarray(0, left) : chunk
}
