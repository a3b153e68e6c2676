/** What somebody who runs `serve` relies on: logs, metrics, events that survive a kill, and an end that cuts nothing. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/oci/digest.ts'
import { createWorld, type World } from './support/world.ts'

interface Running {
  readonly process: ChildProcess
  readonly host: string
  /** Lines of the log. */
  log(): string[]
}

describe('operations of serve', () => {
  let world: World
  const running: ChildProcess[] = []

  before(async () => {
    world = await createWorld()
  })
  after(async () => {
    for (const child of running.filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    )) {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    await world[Symbol.asyncDispose]()
  })

  async function serve(...options: readonly string[]): Promise<Running> {
    const child = world.slipway.start(['serve', '--listen', '127.0.0.1:0', '--log', 'json', ...options])
    running.push(child)
    let printed = ''
    let log = ''
    child.stderr?.on('data', chunk => {
      log += chunk.toString()
    })
    const host = await new Promise<string>((resolve, reject) => {
      child.stdout?.on('data', chunk => {
        printed += chunk.toString()
        const found = /http:\/\/(127\.0\.0\.1:\d+)/.exec(printed)
        if (found?.[1] !== undefined) resolve(found[1])
      })
      child.once('close', code => reject(new Error(`serve ended with ${code}: ${printed}${log}`)))
    })
    return { process: child, host, log: () => log.split('\n').slice(0, -1) }
  }

  async function push(host: string, tag: string): Promise<Response> {
    const config = Buffer.from('{}')
    const digest = digestOf(config)
    const uploads = `http://${host}/v2/team/app/blobs/uploads/`
    assert.equal((await fetch(`${uploads}?digest=${digest}`, { method: 'POST', body: config })).status, 201)
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const descriptor = { mediaType: 'application/vnd.oci.empty.v1+json', digest, size: config.length }
    const artifactType = 'application/x-test'
    const manifest = { schemaVersion: 2, mediaType, artifactType, config: descriptor, layers: [descriptor] }
    const put = await fetch(`http://${host}/v2/team/app/manifests/${tag}`, {
      method: 'PUT',
      headers: { 'Content-Type': mediaType },
      body: JSON.stringify(manifest),
    })
    assert.equal(put.status, 201)
    return put
  }

  it('logs each request as JSON with the id that the client has', async () => {
    const { host, log, process } = await serve()
    const put = await push(host, '1')
    process.kill('SIGTERM')
    await once(process, 'close')
    const lines = log().map(line => JSON.parse(line))
    const line = lines.find(({ id }) => id === put.headers.get('x-request-id'))
    assert.equal(line?.repository, 'team/app')
    assert.equal(line?.tag, '1')
    assert.equal(line?.status, 201)
  })

  it('serves metrics and health', async () => {
    const { host } = await serve()
    await push(host, '2')
    const metrics = await (await fetch(`http://${host}/metrics`)).text()
    assert.match(metrics, /^slipway_http_requests_total\{method="PUT",route="manifest",status="201"\} 1$/m)
    assert.match(metrics, /^slipway_store_blobs [1-9]\d*$/m)
    assert.equal((await fetch(`http://${host}/livez`)).status, 200)
    assert.deepEqual(await (await fetch(`http://${host}/readyz`)).json(), { status: 'ready', store: 'ok' })
  })

  it('delivers the events of acknowledged pushes after a kill', async () => {
    const events: { tag: string; action: string }[] = []
    let isBroken = true
    const receiver = createServer(async (message, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of message) chunks.push(chunk)
      response.writeHead(isBroken ? 503 : 204).end()
      if (isBroken) return
      const [event] = JSON.parse(Buffer.concat(chunks).toString()).events
      events.push({ tag: event.target.tag, action: event.action })
      receiver.emit('delivered')
    }).listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    const { port } = receiver.address() as AddressInfo
    const folder = await world.folder('webhooks', {
      'slipway.toml': `[[webhook]]\nurl = "http://127.0.0.1:${port}/hook"\n`,
    })
    const config = ['--config', join(folder, 'slipway.toml')]
    const first = await serve(...config)
    await push(first.host, 'a')
    await push(first.host, 'b')
    first.process.kill('SIGKILL')
    await once(first.process, 'close')
    isBroken = false
    await serve(...config)
    while (events.length < 2) await once(receiver, 'delivered')
    receiver.closeAllConnections()
    receiver.close()
    assert.deepEqual(events, [
      { tag: 'a', action: 'push' },
      { tag: 'b', action: 'push' },
    ])
  })

  it('lets a transfer end after SIGTERM, while it takes no more', async () => {
    const { host, process } = await serve('--drain', '1m')
    const [hostname = '', port] = host.split(':')
    const digest = digestOf('first second')
    const upload = request({
      hostname,
      port,
      method: 'POST',
      path: `/v2/app/blobs/uploads/?digest=${digest}`,
    })
    const answered = once(upload, 'response')
    upload.write('first ')
    // Answered after the upload has begun, on a connection of its own.
    assert.equal((await fetch(`http://${host}/livez`)).status, 200)
    process.kill('SIGTERM')
    while (await isListening(host));
    upload.end('second')
    const [response] = (await answered) as [IncomingMessage]
    assert.equal(response.statusCode, 201)
    response.resume()
    const [code] = await once(process, 'close')
    assert.equal(code, 0)
  })

  it('stops at once at the second signal', async () => {
    const { host, process } = await serve('--drain', '10m')
    const [hostname = '', port] = host.split(':')
    const upload = request({ hostname, port, method: 'POST', path: '/v2/app/blobs/uploads/?digest=x' })
    upload.on('error', () => undefined)
    upload.write('never ends')
    assert.equal((await fetch(`http://${host}/livez`)).status, 200)
    process.kill('SIGTERM')
    while (await isListening(host));
    process.kill('SIGTERM')
    const [code] = await once(process, 'close')
    assert.equal(code, 143)
  })
})

async function isListening(host: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}/readyz`)
    await response.arrayBuffer()
    return true
  } catch (error) {
    assert.ok(error instanceof TypeError)
    return false
  }
}
