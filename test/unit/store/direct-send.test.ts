import assert from 'node:assert/strict'
import { once } from 'node:events'
import { openSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { loadLinux } from '../../../src/linux/linux.ts'
import { createBlobStreams } from '../../../src/store/blob-stream.ts'
import type { FileSender } from '../../../src/store/direct-send.ts'
import { noise, temporaryFolder } from './support.ts'

const MIB = 1024 * 1024
/** More than a connection takes at once, and than one stretch. */
const BYTES = noise(40 * MIB)
const SMALL = 100_000

const linux = await loadLinux()

interface Served {
  readonly path: string
  /** By whom bytes were sent past Node. */
  readonly sent: Map<ServerResponse, number>
  open(): Promise<Client>
}

/** `/` is answered with all bytes, `/small` with some. */
async function serve(t: TestContext, sender: Partial<FileSender> = {}): Promise<Served> {
  const path = join(temporaryFolder(t), 'blob')
  writeFileSync(path, BYTES)
  const streams = createBlobStreams({
    sendfile: (...args) => linux.sendfile(...args),
    isCached: (...args) => linux.isCached(...args),
    ...sender,
  })
  const sent = new Map<ServerResponse, number>()
  const server = createServer((request, response) => {
    const length = request.url === '/small' ? SMALL : BYTES.length
    response.setHeader('Content-Length', length)
    const body = streams.open(openSync(path, 'r'), { start: 0, end: length - 1 })
    response.on('close', () => {
      if ('sentPastNode' in body) sent.set(response, Number(body.sentPastNode))
      body.destroy()
    })
    body.on('error', () => response.destroy())
    body.pipe(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { path, sent, open: async () => openClient(port) }
}

interface Client {
  readonly socket: Socket
  ask(url: string): void
  /** The next answer's body; fewer bytes when the connection was closed before. */
  body(): Promise<Buffer>
}

async function openClient(port: number): Promise<Client> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => socket.destroy())
  await once(socket, 'connect')
  const chunks = socket.iterator({ destroyOnReturn: false })
  let rest = Buffer.alloc(0)
  const more = async (parts: Buffer[]): Promise<boolean> => {
    const { value, done } = await chunks.next().catch(() => ({ done: true, value: undefined }))
    if (value !== undefined) parts.push(value)
    return done !== true
  }
  return {
    socket,
    ask: url => void socket.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`),
    async body() {
      const head = [rest]
      while (!Buffer.concat(head).includes('\r\n\r\n')) if (!(await more(head))) return Buffer.alloc(0)
      const start = Buffer.concat(head)
      const end = start.indexOf('\r\n\r\n') + 4
      const length = Number(/content-length: (\d+)/i.exec(start.toString('latin1', 0, end))?.[1])
      const parts = [start.subarray(end)]
      let got = start.length - end
      while (got < length && (await more(parts))) got += parts.at(-1)?.length ?? 0
      const all = Buffer.concat(parts)
      rest = Buffer.from(all.subarray(length))
      return all.subarray(0, length)
    },
  }
}

describe('a body sent by the kernel', () => {
  it('arrives whole, most of it past Node, and the connection serves what was asked for meanwhile', async t => {
    const { open, sent } = await serve(t)
    const { ask, body, socket } = await open()
    for (const url of ['/', '/small', '/', '/small']) ask(url)
    assert.ok((await body()).equals(BYTES))
    assert.ok((await body()).equals(BYTES.subarray(0, SMALL)))
    assert.ok((await body()).equals(BYTES))
    assert.ok((await body()).equals(BYTES.subarray(0, SMALL)))
    const [first = 0] = sent.values()
    assert.ok(first > BYTES.length / 2, `${first} of ${BYTES.length}`)
    socket.destroy()
  })

  it('arrives whole at a client that stops reading now and then', async t => {
    const { open } = await serve(t)
    const { ask, body, socket } = await open()
    ask('/')
    const whole = body()
    for (let pause = 0; pause < 5; pause++) {
      socket.pause()
      await delay(30)
      socket.resume()
    }
    assert.ok((await whole).equals(BYTES))
    socket.destroy()
  })

  it('goes to no other connection when clients leave in the middle and their descriptors are used again', async t => {
    const strays: string[] = []
    const owners = new Map<string, number>()
    const { open } = await serve(t, {
      sendfile(socket, file, position, count) {
        // A descriptor of a file is that of one body, and must go on meeting the same connection.
        const connection = readlinkSync(`/proc/self/fd/${socket}`)
        const key = `${connection} ${file}`
        const before = owners.get(key)
        if (!connection.startsWith('socket:')) strays.push(connection)
        if (before !== undefined && position < before && position > 16 * 1024) strays.push(`${key} goes back`)
        owners.set(key, position)
        return linux.sendfile(socket, file, position, count)
      },
    })
    const leave = async (): Promise<void> => {
      const { ask, socket } = await open()
      ask('/')
      await once(socket, 'readable')
      socket.destroy()
    }
    const stay = async (): Promise<void> => {
      const { ask, body, socket } = await open()
      ask('/')
      assert.ok((await body()).equals(BYTES))
      socket.destroy()
    }
    for (let round = 0; round < 4; round++) {
      await Promise.all([stay(), ...Array.from({ length: 12 }, leave), stay()])
    }
    assert.deepEqual(strays, [])
  })

  it('is cut when the file turns out shorter', async t => {
    const { open, path } = await serve(t)
    const { ask, body } = await open()
    ask('/')
    truncateSync(path, 30 * MIB)
    assert.ok((await body()).length <= 30 * MIB)
  })

  it('lets the connection be closed when the client is seen to be gone only by the kernel', async t => {
    const { open } = await serve(t, {
      sendfile() {
        throw Object.assign(new Error('no reader'), { code: 'EPIPE' })
      },
    })
    const { ask, body, socket } = await open()
    ask('/')
    assert.ok((await body()).length < MIB)
    assert.ok(socket.readableEnded || socket.destroyed)
  })

  const refusals: Record<string, Partial<FileSender>> = {
    'the kernel cannot send this file': {
      sendfile() {
        throw Object.assign(new Error('no such call for this file'), { code: 'EINVAL' })
      },
    },
    'the connection never takes anything': { sendfile: () => undefined },
    'all of it has to come from a disk': { isCached: () => false },
  }
  for (const [what, sender] of Object.entries(refusals))
    it(`goes the ordinary way when ${what}`, async t => {
      const { open, sent } = await serve(t, sender)
      const { ask, body, socket } = await open()
      ask('/')
      assert.ok((await body()).equals(BYTES))
      ask('/small')
      assert.ok((await body()).equals(BYTES.subarray(0, SMALL)))
      assert.deepEqual([...sent.values()][0], 0)
      socket.destroy()
    })
})
