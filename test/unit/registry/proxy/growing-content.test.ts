import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { type Growing, GrowingContent } from '../../../../src/registry/proxy/growing-content.ts'
import { ChunkShares } from '../../../../src/store/content-stream.ts'
import type { StoreFile } from '../../../../src/store/store-files.ts'

const BYTES = Buffer.from('the bytes of a layer')

test('GrowingContent cuts the answer of a reader when it is destroyed while it waits for more', async t => {
  const waits = Promise.withResolvers<void>()
  const changes = Promise.withResolvers<void>()
  const growing: Growing = {
    outcome: undefined,
    version: 0,
    changed() {
      waits.resolve()
      return changes.promise
    },
  }
  const content = new GrowingContent({
    file: half(),
    growing,
    range: { start: 0, end: BYTES.length - 1 },
    shares: new ChunkShares(),
    onClose: () => undefined,
  })
  const server = createServer((_request, response) => {
    response.setHeader('Content-Length', BYTES.length)
    content.on('error', () => response.destroy()).pipe(response)
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const [response] = (await once(get({ host: '127.0.0.1', port }), 'response')) as [IncomingMessage]
  await waits.promise
  content.destroy(new Error('the upstream lied'))
  changes.resolve()
  await assert.rejects(Array.fromAsync(response), /aborted/)
})

/** A file that has the first half of the bytes. */
function half(): StoreFile {
  const written = BYTES.subarray(0, 10)
  return {
    read: async (buffer, position) =>
      written.subarray(position).copy(buffer, 0, 0, Math.min(buffer.length, written.length - position)),
    close: async () => undefined,
    write: unasked,
    truncate: unasked,
    size: unasked,
    sync: unasked,
  }
}

async function unasked(): Promise<never> {
  assert.fail('a reader only reads')
}
