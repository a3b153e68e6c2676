import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, it, mock, type TestContext } from 'node:test'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { RepositoryName, Tag } from '../../../../src/oci/reference.ts'
import type { Requester } from '../../../../src/registry/app.ts'
import type { ContentEvent } from '../../../../src/registry/events/observed-store.ts'
import { createSendWebhook } from '../../../../src/registry/events/send-webhook.ts'
import {
  MAX_AGE_MS,
  type SendWebhook,
  signatureOf,
  startWebhooks,
  type Webhook,
} from '../../../../src/registry/events/webhooks.ts'
import { Database } from '../../../../src/store/database.ts'
import { migrate } from '../../../../src/store/schema.ts'
import { createWebhookQueues } from '../../../../src/store/webhook-rows.ts'

const BY: Requester = {
  requestID: 'request-1',
  principal: { kind: 'user', name: 'ann' },
  method: 'PUT',
  client: {
    headers: { host: 'server:5000', 'user-agent': 'docker' },
    address: '192.0.2.1',
    isEncrypted: true,
  },
}

function push(tag: string, repository = 'team/app'): ContentEvent {
  return {
    kind: 'push',
    repository: repository as RepositoryName,
    digest: digestOf(tag),
    tag: tag as Tag,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    size: 7,
  }
}

const WEBHOOK: Webhook = {
  url: 'http://receiver.example/hook?key=geheim',
  events: ['push', 'delete'],
  repositories: ['**'],
  headers: {},
}

interface Sent {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly tag: string
}

/** A database with a clock, and receivers that answer what the test says. */
class World {
  readonly database = new Database(':memory:')
  readonly sent: Sent[] = []
  readonly told: string[] = []
  now = 1_000_000
  answer: () => Promise<number> = async () => 200

  constructor() {
    migrate(this.database)
  }

  queues(owner = 'one', maxWaiting = 100) {
    return createWebhookQueues({
      database: this.database,
      now: () => this.now,
      owner,
      leaseMs: 30_000,
      maxWaiting,
    })
  }

  start(webhooks: readonly Webhook[] = [WEBHOOK], queues = this.queues()) {
    const send: SendWebhook = async (url, headers, body) => {
      this.sent.push({ url, headers, body, tag: JSON.parse(body).events[0].target.tag })
      return this.answer()
    }
    return startWebhooks({
      webhooks,
      queues,
      send,
      now: () => this.now,
      address: () => 'machine:5000',
      log: {
        delivered: host => this.told.push(`delivered ${host}`),
        failed: (host, problem, next) => this.told.push(`failed ${host}: ${problem}, ${next}`),
        dropped: (host, count, reason) => this.told.push(`dropped ${host}: ${count}, ${reason}`),
        lost: host => this.told.push(`lost ${host}`),
      },
    })
  }

  /** Time passes, and what became due is sent. */
  async pass(ms: number): Promise<void> {
    this.now += ms
    mock.timers.tick(2000)
    await settle()
  }

  get tags(): readonly string[] {
    return this.sent.map(({ tag }) => tag)
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
}

describe('startWebhooks()', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }))
  afterEach(() => mock.timers.reset())

  it('names retention as who removed what it removed, and no request', async () => {
    const world = new World()
    await using webhooks = world.start()
    webhooks.listen({ ...push('1.0'), kind: 'delete' }, 'retention')
    await settle()
    const [event] = JSON.parse(world.sent[0]?.body ?? '').events
    assert.equal(event.action, 'delete')
    assert.equal(event.target.tag, '1.0')
    assert.deepEqual(event.actor, { name: 'slipway:retention' })
    assert.deepEqual(event.request, {})
    assert.equal(event.target.url, undefined)
  })

  it("sends an event in the form of distribution's notifications", async () => {
    const world = new World()
    await using webhooks = world.start()
    webhooks.listen(push('1.0'), BY)
    await settle()
    const [sent] = world.sent
    assert.equal(sent?.headers['Content-Type'], 'application/vnd.docker.distribution.events.v2+json')
    const [event, ...others] = JSON.parse(sent?.body ?? '').events
    assert.deepEqual(others, [])
    const { id, source, ...rest } = event
    assert.match(id, /^[0-9a-f-]{36}$/)
    assert.equal(source.addr, 'machine:5000')
    const digest = digestOf('1.0')
    assert.deepEqual(rest, {
      timestamp: '1970-01-01T00:16:40.000Z',
      action: 'push',
      target: {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest,
        size: 7,
        length: 7,
        repository: 'team/app',
        url: `https://server:5000/v2/team/app/manifests/${digest}`,
        tag: '1.0',
      },
      request: {
        id: 'request-1',
        addr: '192.0.2.1',
        host: 'server:5000',
        method: 'PUT',
        useragent: 'docker',
      },
      actor: { name: 'ann' },
    })
  })

  it('sends to each receiver what it asked for', async () => {
    const world = new World()
    const webhooks = [
      { ...WEBHOOK, url: 'http://a/', repositories: ['team/*'] },
      { ...WEBHOOK, url: 'http://b/', events: ['pull'] as const },
    ]
    await using running = world.start(webhooks)
    running.listen(push('1'), BY)
    running.listen(push('2', 'other/app'), BY)
    running.listen({ ...push('3', 'other/app'), kind: 'pull' }, BY)
    await settle()
    assert.deepEqual(
      world.sent.map(({ url, tag }) => [url, tag]),
      [
        ['http://a/', '1'],
        ['http://b/', '3'],
      ],
    )
  })

  it('signs with the secret, and sends the headers', async () => {
    const world = new World()
    await using webhooks = world.start([
      { ...WEBHOOK, headers: { Authorization: 'Bearer x' }, secret: 'key' },
    ])
    webhooks.listen(push('1'), BY)
    await settle()
    const [sent] = world.sent
    assert.equal(sent?.headers.Authorization, 'Bearer x')
    assert.equal(sent?.headers['X-Hub-Signature-256'], signatureOf(sent?.body ?? '', 'key'))
    assert.match(signatureOf('body', 'key'), /^sha256=[0-9a-f]{64}$/)
  })

  it('tries again later and later, in order, and lets nothing overtake', async () => {
    const world = new World()
    world.answer = async () => 503
    await using webhooks = world.start()
    webhooks.listen(push('1'), BY)
    webhooks.listen(push('2'), BY)
    await settle()
    assert.deepEqual(world.tags, ['1'])
    await world.pass(999)
    assert.deepEqual(world.tags, ['1'])
    await world.pass(1)
    assert.deepEqual(world.tags, ['1', '1'])
    await world.pass(1999)
    assert.equal(world.sent.length, 2)
    await world.pass(1)
    assert.equal(world.sent.length, 3)
    world.answer = async () => 204
    await world.pass(4000)
    assert.deepEqual(world.tags, ['1', '1', '1', '1', '2'])
    assert.ok(world.told.every(line => !line.includes('geheim')))
    const [first, second] = world.sent
    assert.equal(first?.body, second?.body)
  })

  it('waits five minutes at most between two tries', async () => {
    const world = new World()
    world.answer = async () => {
      throw new TypeError('fetch failed', { cause: new Error('connection refused') })
    }
    await using webhooks = world.start()
    webhooks.listen(push('1'), BY)
    await settle()
    for (let tries = 0; tries < 12; tries++) await world.pass(300_000)
    assert.equal(world.sent.length, 13)
    assert.equal(world.told.at(-1), 'failed receiver.example: connection refused, 300000')
  })

  it('never lets one receiver wait for another', async () => {
    const world = new World()
    const hung = Promise.withResolvers<number>()
    world.answer = () => (world.sent.at(-1)?.url === 'http://slow/' ? hung.promise : Promise.resolve(200))
    await using webhooks = world.start([
      { ...WEBHOOK, url: 'http://slow/' },
      { ...WEBHOOK, url: 'http://fast/' },
    ])
    webhooks.listen(push('1'), BY)
    webhooks.listen(push('2'), BY)
    await settle()
    assert.deepEqual(
      world.sent.filter(({ url }) => url === 'http://fast/').map(({ tag }) => tag),
      ['1', '2'],
    )
    hung.resolve(200)
  })

  it('delivers what an earlier process left behind', async () => {
    const world = new World()
    world.answer = async () => 500
    {
      await using webhooks = world.start()
      webhooks.listen(push('1'), BY)
      await settle()
    }
    world.answer = async () => 200
    world.now += 60_000
    await using _next = world.start([WEBHOOK], world.queues('two'))
    await settle()
    assert.deepEqual(world.tags, ['1', '1'])
  })

  it('lets one process at a time deliver, and another one take over from one that died', async () => {
    const world = new World()
    const dead = world.queues('dead')
    dead.add(WEBHOOK.url, JSON.stringify({ events: [{ target: { tag: 'left' } }] }), 'durable')
    assert.ok(dead.take(WEBHOOK.url))
    await using _next = world.start([WEBHOOK], world.queues('next'))
    await world.pass(29_000)
    assert.deepEqual(world.tags, [])
    await world.pass(2000)
    assert.deepEqual(world.tags, ['left'])
  })

  it('drops the oldest when too many wait, and what is too old', async () => {
    const world = new World()
    world.answer = async () => 500
    await using webhooks = world.start([WEBHOOK], world.queues('one', 3))
    for (const tag of ['1', '2', '3', '4', '5']) webhooks.listen(push(tag), BY)
    await settle()
    assert.equal(world.told.filter(line => line.includes('too many wait')).length, 2)
    world.sent.length = 0
    world.answer = async () => 200
    await world.pass(5000)
    assert.deepEqual(world.tags, ['3', '4', '5'])
    world.answer = async () => 500
    webhooks.listen(push('6'), BY)
    await settle()
    await world.pass(MAX_AGE_MS + 1)
    assert.match(
      world.told.at(-1) ?? '',
      /dropped receiver\.example: 1, its receiver has failed for too long/,
    )
  })

  it('lets a push succeed when the queue cannot be written', async () => {
    const world = new World()
    const queues = world.queues()
    const add = () => {
      throw new Error('the disk is full')
    }
    await using webhooks = world.start([WEBHOOK], { ...queues, add })
    webhooks.listen(push('1'), BY)
    assert.deepEqual(world.told, ['lost receiver.example'])
  })
})

describe('createSendWebhook()', () => {
  async function receiver(test: TestContext, status: number, headers: Record<string, string> = {}) {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      request.resume()
      response.writeHead(status, headers).end('x'.repeat(100_000))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    test.after(() => {
      server.closeAllConnections()
      server.close()
    })
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` }
  }
  const send = createSendWebhook('slipway/test')
  const never = new AbortController().signal

  it('follows no redirect', async test => {
    const { asked, url } = await receiver(test, 302, { Location: '/elsewhere' })
    assert.equal(await send(url, {}, '{}', never), 302)
    assert.deepEqual(asked, ['POST /hook'])
  })

  it('ends when it is told to', async test => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(server, 'listening')
    test.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const stop = new AbortController()
    const sending = send(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, {}, '{}', stop.signal)
    await once(server, 'request')
    stop.abort(new Error('stopped'))
    await assert.rejects(sending, { message: 'stopped' })
  })
})
