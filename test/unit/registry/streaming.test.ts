import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Digester, digestOf } from '../../../src/oci/digest.ts'
import { openRegistry, pushBlob } from './client.ts'

const MIB = 1024 * 1024

/** More than this of growth while a body passes means that it is kept. */
const FLAT_BYTES = 48 * MIB

describe('streaming', async () => {
  const registry = await openRegistry()
  const { http, port } = registry

  async function begin(): Promise<string> {
    return (await http.post('/v2/app/blobs/uploads/').expect(202)).headers.location ?? ''
  }

  function send(method: string, path: string, body: Readable, headers = {}): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const outgoing = request({ port, host: '127.0.0.1', method, path, headers }, resolve)
    outgoing.on('error', reject)
    body.pipe(outgoing)
    return promise
  }

  async function open(text: string): Promise<Socket> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(text)
    return socket
  }

  /** Reads until the text has appeared so many times. */
  async function readUntil(socket: Socket, text: string, times = 1): Promise<string> {
    let got = ''
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      got += chunk
      if (got.split(text).length > times) break
    }
    return got
  }

  it('moves a large blob in and out without keeping it in memory', async () => {
    const block = Buffer.alloc(MIB, 'slipway ')
    const blocks = 96
    const digester = new Digester()
    const before = heldBytes()
    let peak = before
    let watched = 0
    const watch = (bytes: number) => {
      if (Math.floor(watched / (8 * MIB)) !== Math.floor((watched + bytes) / (8 * MIB)))
        peak = Math.max(peak, heldBytes())
      watched += bytes
    }
    const body = Readable.from(
      (function* () {
        for (let n = 0; n < blocks; n++) {
          digester.update(block)
          watch(block.length)
          yield block
        }
      })(),
    )
    const location = await begin()
    const patched = await send('PATCH', location, body)
    assert.equal(patched.statusCode, 202)
    assert.equal(patched.headers.range, `0-${blocks * MIB - 1}`)
    patched.resume()
    const digest = digester.digest()
    await http.put(`${location}?digest=${digest}`).expect(201)

    const got = await send('GET', `/v2/app/blobs/${digest}`, Readable.from([]))
    const received = new Digester()
    for await (const chunk of got) {
      received.update(chunk)
      watch(chunk.length)
    }
    assert.equal(received.digest(), digest)
    assert.ok(peak - before < FLAT_BYTES, `grew by ${Math.round((peak - before) / MIB)} MiB`)
  })

  it('keeps what has arrived when the client goes away, and goes on from there', async () => {
    const location = await begin()
    const sent = Buffer.alloc(3 * MIB, 'slipway ')
    const socket = await open(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${4 * MIB}\r\n\r\n`)
    socket.write(sent)
    const arrived = async () =>
      Number((await http.get(location).expect(204)).headers.range?.split('-')[1]) + 1
    await eventually(async () => (await arrived()) >= MIB)
    socket.destroy()
    let offset = 0
    await eventually(async () => {
      offset = await arrived()
      const range = `${offset}-${offset + 1}`
      return (await http.patch(location).set('Content-Range', range).send(Buffer.from('ab'))).status === 202
    })
    assert.ok(offset >= MIB && offset <= sent.length)
    const whole = Buffer.concat([sent.subarray(0, offset), Buffer.from('ab')])
    await http.put(`${location}?digest=${digestOf(whole)}`).expect(201)
    assert.deepEqual(registry.faults, [])
  })

  it('closes the file when the client goes away in the middle of a download', async () => {
    const digest = await pushBlob(registry, 'app', Buffer.alloc(32 * MIB, 'z'))
    const socket = await open(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await readUntil(socket, 'zzz')
    assert.equal(openBlobs(), 1)
    socket.destroy()
    await eventually(() => openBlobs() === 0)
    assert.deepEqual(registry.faults, [])
  })

  it('refuses a second writer of one upload', async () => {
    const location = await begin()
    const head = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`
    const first = await open(head)
    // Leave to send is given to the one writer.
    await readUntil(first, ' 100 Continue\r\n\r\n')
    await http.patch(location).expect(409)
    first.write('first')
    assert.match(await readUntil(first, '\r\n\r\n'), /^HTTP\/1\.1 202 .*\r\nrange: 0-4\r\n/is)
    first.destroy()
  })

  it('answers before it has read a refused body, and serves the connection on', async () => {
    const bodies = [
      [`PATCH /v2/app/blobs/uploads/no-such-upload`, 5 * MIB],
      [`PUT /v2/app/manifests/large`, 5 * MIB],
      [`POST /v2/App/blobs/uploads/`, 100],
      [`GET /v2/`, 100],
    ] as const
    for (const [line, size] of bodies) {
      const socket = await open(`${line} HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`)
      const [first] = await Promise.all([readUntil(socket, '\r\n\r\n'), socket.write(Buffer.alloc(size))])
      assert.match(first, /^HTTP\/1\.1 (4\d\d|200) /)
      socket.write('HEAD /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      assert.match(await readUntil(socket, 'never'), /HTTP\/1\.1 200 OK/)
    }
  })

  it('closes the connection of a client that does not stop sending what was refused', async () => {
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(64 * 1024))
      },
    })
    const socket = await open(
      'PUT /v2/app/manifests/endless HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n',
    )
    socket.on('error', () => socket.destroy())
    endless.pipe(socket)
    const closed = new Promise(resolve => socket.once('close', resolve))
    const got = await readUntil(socket, '\r\n\r\n').catch(String)
    assert.match(got, /HTTP\/1\.1 413|ECONNRESET/)
    socket.resume()
    await closed
    endless.destroy()
  })

  it('refuses a header of a megabyte, and serves others on', async () => {
    const socket = await open(`GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(MIB)}\r\n\r\n`)
    socket.on('error', () => socket.destroy())
    assert.match(await readUntil(socket, '\r\n\r\n').catch(String), /HTTP\/1\.1 431|ECONNRESET|EPIPE/)
    await http.get('/v2/').expect(200)
  })

  it('lets two processes over one store take turns in one upload', async () => {
    const other = await openRegistry({ disk: registry.disk })
    const location = await begin()
    await other.http.patch(location).send(Buffer.from('one ')).expect(202)
    await http.patch(location).set('Content-Range', '4-6').send(Buffer.from('two')).expect(202)
    await other.http.get(location).expect(204).expect('Range', '0-6')
    await other.http.put(`${location}?digest=${digestOf('one two')}`).expect(201)
    await http.get(`/v2/app/blobs/${digestOf('one two')}`).expect(200)
  })
})

/** For what another part of this process does in its own time. */
async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await check()) return
    await delay(10)
  }
  assert.fail('it did not happen')
}

/** What is still held after a collection, in bytes. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Files of content that this process has open. */
function openBlobs(): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('/blobs/sha256/')
    } catch {
      return false // closed since it was listed
    }
  }).length
}
