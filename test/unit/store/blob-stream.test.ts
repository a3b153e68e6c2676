import assert from 'node:assert/strict'
import { once } from 'node:events'
import { openSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, it, type TestContext } from 'node:test'
import { createBlobStreams } from '../../../src/store/blob-stream.ts'
import { collect, noise, temporaryFolder } from './support.ts'

const BYTES = noise(3_000_000)

function openBytes(t: TestContext): { readonly path: string; open(start?: number, end?: number): Readable } {
  const path = join(temporaryFolder(t), 'blob')
  writeFileSync(path, BYTES)
  const streams = createBlobStreams()
  return {
    path,
    open: (start = 0, end = BYTES.length - 1) => streams.open(openSync(path, 'r'), { start, end }),
  }
}

/** Answers each request with a stream. */
async function served(t: TestContext, open: () => Readable): Promise<() => Promise<IncomingMessage>> {
  const server = createServer((_request, response) => {
    response.setHeader('Content-Length', BYTES.length)
    const body = open()
    body.on('error', () => response.destroy())
    body.pipe(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return async () => {
    const [response] = (await once(get({ host: '127.0.0.1', port }), 'response')) as [IncomingMessage]
    return response
  }
}

describe('createBlobStreams()', () => {
  it('reads the bytes of a range', async t => {
    const { open } = openBytes(t)
    assert.deepEqual(await collect(open()), BYTES)
    assert.deepEqual(await collect(open(1_000_000, 1_000_000)), BYTES.subarray(1_000_000, 1_000_001))
    assert.deepEqual(await collect(open(2_999_999)), BYTES.subarray(2_999_999))
  })

  it('answers many clients at once, each with its own bytes, while more come and go', async t => {
    const { open } = openBytes(t)
    const request = await served(t, open)
    const rounds = Array.from({ length: 40 }, async (_, index) => {
      const response = await request()
      if (index % 4 === 0) return response.destroy()
      assert.ok((await collect(response)).equals(BYTES))
    })
    await Promise.all(rounds)
  })

  it('gives a destination that keeps its chunks bytes that nobody else writes to', async t => {
    const { open } = openBytes(t)
    const kept: Buffer[] = []
    const keep = new Transform({
      transform(chunk, _encoding, done) {
        kept.push(chunk)
        done()
      },
    })
    await pipeline(open(), keep)
    assert.ok(Buffer.concat(kept).equals(BYTES))
  })

  it('cuts the answer when the file turns out shorter', async t => {
    const { open, path } = openBytes(t)
    const request = await served(t, () => {
      const body = open()
      truncateSync(path, 1_000_000)
      return body
    })
    await assert.rejects(collect(await request()), { code: 'ECONNRESET' })
  })

  it('closes its file when it is left half read', async t => {
    const { open } = openBytes(t)
    const stream = open()
    const closed = new Promise(resolve => stream.once('close', resolve))
    stream.once('data', () => stream.destroy())
    await closed
  })
})
