import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { createRegistryApp } from '../../../src/registry/app.ts'
import { RegistryError } from '../../../src/registry/errors.ts'
import { startRegistry } from '../../../src/registry/serve.ts'
import { createRepositoryStore } from '../../../src/registry/store-repositories.ts'
import { openTestStore } from './support.ts'

describe('startRegistry()', () => {
  async function openApp(test: TestContext) {
    const disk = await openTestStore()
    test.after(() => disk.remove())
    return createRegistryApp({ repositories: createRepositoryStore({ store: disk.store }) })
  }

  function ask(options: { port: number; path: string; agent?: Agent }): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    get({ host: '127.0.0.1', agent: false, ...options }, resolve).on('error', reject)
    return promise
  }

  it('tells the address that it took', async test => {
    const registry = await startRegistry({ app: await openApp(test), host: '127.0.0.1', port: 0 })
    assert.equal(registry.address.host, '127.0.0.1')
    const response = await ask({ port: registry.address.port, path: '/v2/' })
    assert.equal(response.statusCode, 200)
    response.resume()
    await registry.close()
    await assert.rejects(ask({ port: registry.address.port, path: '/v2/' }), { code: 'ECONNREFUSED' })
  })

  it('says that the port is in use, and what to do', async test => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    test.after(() => taken.close())
    const { port } = taken.address() as AddressInfo
    const app = await openApp(test)
    await assert.rejects(startRegistry({ app, host: '127.0.0.1', port }), error => {
      assert.ok(error instanceof RegistryError)
      assert.equal(error.code, 'address-in-use')
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`))
      assert.match(error.hint ?? '', /--listen/)
      return true
    })
    await app.close()
  })

  it('says that an address is not of this machine', async test => {
    const app = await openApp(test)
    await assert.rejects(startRegistry({ app, host: '192.0.2.1', port: 0 }), { code: 'address-invalid' })
    await app.close()
  })

  it('closes with idle keep-alive connections open', async test => {
    const registry = await startRegistry({ app: await openApp(test), host: '127.0.0.1', port: 0 })
    const agent = new Agent({ keepAlive: true })
    test.after(() => agent.destroy())
    const response = await ask({ port: registry.address.port, path: '/v2/', agent })
    response.resume()
    await once(response, 'end')
    await registry.close()
  })

  it('lets a transfer end before it closes', async test => {
    const app = await openApp(test)
    const registry = await startRegistry({ app, host: '127.0.0.1', port: 0 })
    const digest = digestOf('first second')
    const body = new PassThrough()
    const agent = new Agent({ keepAlive: true })
    test.after(() => agent.destroy())
    const upload = request({
      host: '127.0.0.1',
      port: registry.address.port,
      method: 'POST',
      path: `/v2/app/blobs/uploads/?digest=${digest}`,
      agent,
    })
    const answered = once(upload, 'response')
    body.pipe(upload)
    body.write('first ')
    await once(app.server, 'request')
    const closing = registry.close()
    body.end('second')
    const [response] = (await answered) as [IncomingMessage]
    assert.equal(response.statusCode, 201)
    response.resume()
    await closing
  })

  it('cuts transfers that do not end in time', async test => {
    const app = await openApp(test)
    const registry = await startRegistry({ app, host: '127.0.0.1', port: 0, drainMs: 1 })
    const upload = request({
      host: '127.0.0.1',
      port: registry.address.port,
      method: 'POST',
      path: `/v2/app/blobs/uploads/?digest=${digestOf('x')}`,
    })
    const failed = once(upload, 'error').catch(error => [error])
    upload.write('never ends')
    await once(app.server, 'request')
    await registry.close()
    await failed
  })
})
