/**
 * Registries, token servers and servers of ADD that lie, stall, point elsewhere or never end. Each is a server on
 * this machine; each is refused in the words of its row, and nothing of what it sent is kept.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createDownloads } from '../../src/builder/fetch/downloads.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { describeBytes } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { CodedError } from '../../src/oci/errors.ts'
import { copyGraph, graphTarget } from '../../src/oci/graph.ts'
import { imageManifestBytes, indexBytes } from '../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../src/oci/media-type.ts'
import { parseReference, type Tag } from '../../src/oci/reference.ts'
import { createRemote, type RemoteDeps } from '../../src/remote/client.ts'
import { anonymous } from '../../src/remote/credentials.ts'
import { refuseInternalAddresses } from '../../src/remote/outward.ts'
import type { RemoteRepository } from '../../src/remote/repository.ts'
import { createTransport, type HttpRequest, type Transport } from '../../src/remote/transport.ts'
import { openStore } from '../../src/store/open.ts'

const { signal } = new AbortController()
const v1 = 'v1' as Tag
const TIMEOUTS = { connectMs: 1000, idleMs: 1000, answerMs: 700 }

const layer = Buffer.from('a layer')
const layerDescriptor = describeBytes(MEDIA_TYPE.ociLayer, layer)
const config = Buffer.from('{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}')
const configDescriptor = describeBytes(MEDIA_TYPE.ociConfig, config)
const manifest = imageManifestBytes({
  mediaType: MEDIA_TYPE.ociManifest,
  config: configDescriptor,
  layers: [layerDescriptor],
})
const manifestDescriptor = describeBytes(MEDIA_TYPE.ociManifest, manifest)

/** `127.0.0.1:PORT` of a server that is closed after the tests. */
async function serve(listener: RequestListener): Promise<string> {
  return listen(http.createServer(listener))
}

/** What the server says is said by the bytes themselves. */
async function serveRaw(onRequest: (socket: Socket) => void): Promise<string> {
  return listen(
    net.createServer(socket => {
      socket.on('error', () => undefined)
      socket.once('data', () => onRequest(socket))
    }),
  )
}

async function listen(server: net.Server): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => sockets.add(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function repositoryAt(host: string, deps: Partial<RemoteDeps> = {}): RemoteRepository {
  const remote = createRemote({
    registries: {},
    credentials: anonymous,
    userAgent: 'test',
    now: () => 0,
    delay: async () => undefined,
    timeouts: TIMEOUTS,
    ...deps,
  })
  after(() => remote[Symbol.dispose]())
  return remote.repository(parseReference(`${host}/team/app`), { signal })
}

/** Writes without end, as fast as it is read. */
function endless(to: ServerResponse | Socket, chunk: Buffer): void {
  const go = () => {
    while (!to.destroyed && to.write(chunk));
  }
  to.on('drain', go)
  to.on('error', () => undefined)
  go()
}

/** Writes a byte now and then: nobody could call it idle. */
function drip(to: ServerResponse | Socket, byte = ' '): void {
  const timer = setInterval(() => to.write(byte), 50)
  to.on('close', () => clearInterval(timer))
}

async function refusal(task: Promise<unknown>): Promise<CodedError<string>> {
  try {
    await task
  } catch (error) {
    assert.ok(error instanceof CodedError, `not ours: ${String(error)}`)
    return error
  }
  return assert.fail('it was taken')
}

type Ask = (repository: RemoteRepository) => Promise<unknown>
type Row = readonly [attack: string, ask: Ask, answer: RequestListener, code: string, message: RegExp]

const readTag: Ask = repository => repository.readManifest(v1)
const readPinned: Ask = repository => repository.readManifest(manifestDescriptor.digest)
const listTags: Ask = repository => repository.listTags()
const manifestType = { 'content-type': MEDIA_TYPE.ociManifest }
const elsewhere = digestOf('elsewhere')

const registries: readonly Row[] = [
  [
    'gives other bytes than the digest asks for',
    readPinned,
    (_, response) => response.writeHead(200, manifestType).end(config),
    'manifest-invalid',
    /./,
  ],
  [
    'gives another manifest than the digest asks for',
    readPinned,
    (_, response) => response.writeHead(200, manifestType).end(`${manifest} `),
    'digest-mismatch',
    /Cannot resolve sha256:.* it answered with sha256/,
  ],
  [
    'tells another digest of a tag than its bytes have',
    readTag,
    (_, response) =>
      response.writeHead(200, { ...manifestType, 'docker-content-digest': elsewhere }).end(manifest),
    'digest-mismatch',
    /it answered with/,
  ],
  [
    'tells another digest than it was asked for',
    repository => repository.resolve(manifestDescriptor.digest),
    (_, response) =>
      response
        .writeHead(200, { ...manifestType, 'docker-content-digest': elsewhere, 'content-length': '5' })
        .end(),
    'digest-mismatch',
    /it answered with/,
  ],
  [
    'calls an image an index',
    readTag,
    (_, response) => response.writeHead(200, { 'content-type': MEDIA_TYPE.ociIndex }).end(manifest),
    'manifest-invalid',
    /was sent as/,
  ],
  [
    'sends a manifest that is image and index at once (CVE-2021-41190)',
    readTag,
    (_, response) =>
      response
        .writeHead(200, manifestType)
        .end(JSON.stringify({ ...JSON.parse(String(manifest)), manifests: [] })),
    'manifest-invalid',
    /must not have manifests/,
  ],
  [
    'sends a manifest without end',
    readTag,
    (_, response) => endless(response.writeHead(200, manifestType), Buffer.alloc(65536, ' ')),
    'response-invalid',
    /longer than 4194304 bytes/,
  ],
  [
    'sends a manifest by drops',
    readTag,
    (_, response) => drip(response.writeHead(200, manifestType)),
    'registry-unreachable',
    /did not end its answer within 0.7 seconds/,
  ],
  [
    'sends a part of a manifest and falls silent',
    readTag,
    (_, response) => response.writeHead(200, manifestType).write('{'),
    'registry-unreachable',
    /(send more data|end its answer) within (1|0.7) seconds/,
  ],
  ['does not answer', readTag, () => undefined, 'registry-unreachable', /did not answer within 1 s/],
  [
    'redirects in a circle',
    readTag,
    (request, response) => response.writeHead(307, { location: request.url }).end(),
    'response-invalid',
    /more than 5 redirects/,
  ],
  [
    'redirects to a file',
    readTag,
    (_, response) => response.writeHead(307, { location: 'file:///etc/shadow' }).end(),
    'response-invalid',
    /not a URL/,
  ],
  [
    'packs its JSON so that it would become gigabytes',
    listTags,
    (_, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(Buffer.alloc(8 * 1024 ** 2, ' '))),
    'response-invalid',
    /the answer is no list/,
  ],
  [
    'sends JSON of a million brackets',
    listTags,
    (_, response) => response.end('{"tags":'.repeat(250_000)),
    'response-invalid',
    /the answer is no list/,
  ],
  [
    'has a next page of tags on every page, and it is this one',
    listTags,
    (request, response) =>
      response.writeHead(200, { link: `<${request.url}>; rel="next"` }).end('{"tags":["a"]}'),
    'response-invalid',
    /names itself as the next/,
  ],
  [
    'has tags without end',
    listTags,
    (() => {
      const page = JSON.stringify({ tags: Array(300_000).fill('t') })
      let pages = 0
      return (_: IncomingMessage, response: ServerResponse) =>
        response.writeHead(200, { link: `</v2/team/app/tags/list?last=${++pages}>; rel="next"` }).end(page)
    })(),
    'response-invalid',
    /more than 1000000 tags/,
  ],
  [
    'wants to be asked for a token, and gives one of a megabyte',
    readTag,
    (request, response) => {
      if (request.url?.startsWith('/token') === true) response.end(`{"token":"${'t'.repeat(1024 ** 2)}"}`)
      else
        response
          .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` })
          .end()
    },
    'response-invalid',
    /its token is longer than 65536/,
  ],
  [
    'asks for a token and sends that by drops',
    readTag,
    (request, response) => {
      if (request.url?.startsWith('/token') === true) drip(response)
      else
        response
          .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` })
          .end()
    },
    'registry-unreachable',
    /did not end its answer/,
  ],
  [
    'asks for a token for ever',
    readTag,
    (request, response) => {
      if (request.url?.startsWith('/token') === true) response.end('{"token":"t"}')
      else
        response
          .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token"` })
          .end()
    },
    'unauthorized',
    /wants other credentials/,
  ],
]

describe('a registry that', () => {
  for (const [attack, ask, answer, code, message] of registries)
    test(`${attack} is refused`, async () => {
      const error = await refusal(ask(repositoryAt(await serve(answer))))
      assert.equal(error.code, code, error.message)
      assert.match(error.message, message)
      assert.ok(error.message.length < 400)
    })

  const raw: readonly (readonly [attack: string, onRequest: (socket: Socket) => void, message: RegExp])[] = [
    [
      'sends headers without end',
      socket => {
        socket.write('HTTP/1.1 200 OK\r\n')
        endless(socket, Buffer.from(`x-${'y'.repeat(100)}: z\r\n`.repeat(100)))
      },
      /its headers are too long/,
    ],
    [
      'sends headers by drops',
      socket => {
        socket.write('HTTP/1.1 200 OK\r\nx-slow: ')
        drip(socket, 'z')
      },
      /did not answer within 1 s/,
    ],
    [
      'sends answers that are none for ever',
      socket => {
        const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 50)
        socket.on('close', () => clearInterval(timer))
      },
      /did not answer within 1 s/,
    ],
    ['sends something else than HTTP', socket => socket.end('SSH-2.0-OpenSSH\r\n'), /not HTTP/],
    [
      'sends chunks whose sizes have no end',
      socket => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;')
        endless(socket, Buffer.alloc(65536, 'e'))
      },
      /not HTTP|the connection broke/,
    ],
    [
      'tells two lengths',
      socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 900\r\n\r\n{}'),
      /not HTTP/,
    ],
  ]
  for (const [attack, onRequest, message] of raw)
    test(`${attack} is refused`, async () => {
      const error = await refusal(readTag(repositoryAt(await serveRaw(onRequest))))
      assert.match(error.message, message)
    })

  test('accepts a connection and never speaks TLS is refused', async () => {
    const host = await serveRaw(() => undefined)
    const error = await refusal(readTag(repositoryAt(host, { registries: { [host]: { http: false } } })))
    assert.match(error.message, /no connection within (1|0.7) seconds/)
  })
})

/** Blobs, and what a server makes of the one that is asked for. */
const blobs: readonly (readonly [attack: string, answer: RequestListener, message: RegExp])[] = [
  ['is another', (_, response) => response.end('a pager'), /want sha256:.* got sha256/],
  ['says that it is longer', (_, response) => response.end('a layer and more'), /want 7 bytes, it has 16/],
  [
    'goes on',
    (_, response) => {
      response.write(layer)
      endless(response, Buffer.alloc(65536))
    },
    /goes on after its 7 bytes/,
  ],
  ['falls silent', (_, response) => response.writeHead(200, { 'content-length': '7' }).write('a la'), /./],
  [
    'breaks off each time',
    (_, response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' }).write('a')
      setTimeout(() => response.destroy(), 10)
    },
    /broke/,
  ],
  [
    'goes on with another range',
    (request, response) => {
      if (request.headers.range !== undefined)
        return response.writeHead(206, { 'content-range': 'bytes 0-6/7' }).end('a layer')
      response.writeHead(200, { 'content-length': '7' }).write('a la')
      return setTimeout(() => response.destroy(), 10)
    },
    /another range/,
  ],
  [
    'is packed',
    (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('packed!'),
    /want sha256:.* got sha256/,
  ],
]

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-server-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe('a blob that', () => {
  for (const [attack, answer, message] of blobs)
    test(`${attack} is refused, and nothing of it is kept`, async t => {
      const root = join(temporaryFolder(t), 'store')
      using store = await openStore({ root, now: Date.now })
      const host = await serve((request, response) => {
        if (request.url?.includes('/blobs/') === true) answer(request, response)
        else response.writeHead(404).end()
      })
      const copied = copyGraph(repositoryAt(host), graphTarget(store.content), layerDescriptor, { signal })
      const error = await refusal(copied)
      assert.match(error.message, message)
      assert.equal(await store.content.stat(layerDescriptor.digest), undefined)
      assert.deepEqual(readdirSync(join(root, 'ingest')), [])
    })
})

describe('an index that', () => {
  /** Indexes in indexes, the innermost of an image. */
  function nest(depth: number, width = 1): { root: Descriptor; content: Map<string, Buffer> } {
    const content = new Map<string, Buffer>([
      [manifestDescriptor.digest, manifest],
      [configDescriptor.digest, config],
      [layerDescriptor.digest, layer],
    ])
    let root: Descriptor = manifestDescriptor
    for (let level = 0; level < depth; level++) {
      const bytes = indexBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests: Array(width).fill(root) })
      root = describeBytes(MEDIA_TYPE.ociIndex, bytes)
      content.set(root.digest, bytes)
    }
    return { root, content }
  }

  async function copy(t: TestContext, nested: ReturnType<typeof nest>): Promise<number> {
    let requests = 0
    const host = await serve((request, response) => {
      requests++
      response.end(nested.content.get(request.url?.split('/').at(-1) ?? ''))
    })
    using store = await openStore({ root: join(temporaryFolder(t), 'store'), now: Date.now })
    const { nameImage } = await import('../../src/store/images.ts')
    await copyGraph(repositoryAt(host), graphTarget(store.content), nested.root, { signal })
    await nameImage(store, 'app' as Parameters<typeof nameImage>[1], nested.root, [v1])
    return requests
  }

  test('holds a hundred indexes, one in the other, is refused', async t => {
    const error = await refusal(copy(t, nest(100)))
    assert.match(error.message, /nested too deeply/)
  })

  test('names one index a thousand times, which does the same, is walked once', async t => {
    assert.ok((await copy(t, nest(4, 1000))) < 40)
  })
})

/** Sends requests for hosts of no network to a server on this machine, which passes for one elsewhere. */
function elsewhereTransport(servers: Readonly<Record<string, string>>, sent: HttpRequest[]): Transport {
  const real = createTransport({ timeouts: TIMEOUTS })
  return {
    async send(request) {
      sent.push(request)
      const to = servers[request.url.host]
      if (to === undefined) return real.send(request)
      const url = new URL(request.url)
      url.protocol = 'http:'
      url.host = to
      const answer = await real.send({ ...request, url, isOutward: false })
      const { status, headers } = answer
      return {
        url: request.url,
        status,
        headers,
        isInside: false,
        body: kind => answer.body(kind),
        drop: () => answer.drop(),
      }
    },
    [Symbol.dispose]: () => real[Symbol.dispose](),
  }
}

const INSIDE = [
  'http://169.254.169.254/latest/meta-data/',
  'https://169.254.169.254/latest/meta-data/',
  'https://[fd00:ec2::254]/latest/',
  'https://2852039166/decimal',
  'https://0xa9fea9fe/hexadecimal',
  'https://0251.0376.0251.0376/octal',
  'https://[::ffff:169.254.169.254]/mapped',
  'https://[64:ff9b::a9fe:a9fe]/translated',
  'https://100.100.100.200/latest/',
  'https://127.0.0.1:2375/containers/json',
  'https://localhost/',
  'https://0/',
]

describe('an answer that points at this machine or its metadata', () => {
  for (const location of INSIDE)
    test(`redirects a registry to ${location}: refused, and never connected to`, async () => {
      const host = await serve((_, response) => response.writeHead(307, { location }).end())
      const sent: HttpRequest[] = []
      const transport = elsewhereTransport({ 'registry.example': host }, sent)
      const error = await refusal(readTag(repositoryAt('registry.example', { transport })))
      assert.match(error.message, /registry.example points at .* an address of this machine/)
      assert.deepEqual(
        sent.map(({ url }) => url.host),
        ['registry.example'],
      )
    })

  for (const location of INSIDE)
    test(`redirects ADD to ${location}: refused, and never connected to`, async t => {
      const host = await serve((_, response) => response.writeHead(302, { location }).end())
      const sent: HttpRequest[] = []
      await using downloads = createDownloads({
        openTransport: async () => elsewhereTransport({ 'files.example': host }, sent),
        temporaryDirectory: temporaryFolder(t),
      })
      const error = await refusal(downloads.get(new URL('https://files.example/a'), 'sha256', signal))
      assert.equal(error.code, 'download-failed')
      assert.match(error.message, /redirects to .* an address of this machine|HTTPS to plain HTTP/)
      assert.equal(sent.length, 1)
    })

  test('asks for a token there: refused', async () => {
    for (const realm of INSIDE) {
      const host = await serve((_, response) =>
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end(),
      )
      const sent: HttpRequest[] = []
      const transport = elsewhereTransport({ 'registry.example': host }, sent)
      const error = await refusal(readTag(repositoryAt('registry.example', { transport })))
      assert.equal(error.code, 'response-invalid')
      assert.equal(sent.length, 1)
    }
  })

  test('leads ADD from HTTPS to plain HTTP: refused', async t => {
    const host = await serve((_, response) =>
      response.writeHead(302, { location: 'http://files.example/a' }).end(),
    )
    await using downloads = createDownloads({
      openTransport: async () => elsewhereTransport({ 'files.example': host }, []),
      temporaryDirectory: temporaryFolder(t),
    })
    const error = await refusal(downloads.get(new URL('https://files.example/a'), 'sha256', signal))
    assert.match(error.message, /redirects from HTTPS to plain HTTP at files.example/)
  })

  test('points at a name: its addresses are looked at before they are connected to', async () => {
    const sent: HttpRequest[] = []
    const host = await serve((request, response) => {
      const location = `https://cdn.example${request.url}`
      response.writeHead(request.headers.host === host ? 307 : 200, { location }).end()
    })
    const transport = elsewhereTransport({ 'registry.example': host, 'cdn.example': host }, sent)
    await refusal(readTag(repositoryAt('registry.example', { transport })))
    assert.deepEqual(
      sent.slice(0, 2).map(({ url, isOutward }) => [url.host, isOutward]),
      [
        ['registry.example', false],
        ['cdn.example', true],
      ],
    )
  })

  test('points at a name that means this machine, now or a moment later: never connected to', async () => {
    let connections = 0
    const server = net.createServer(() => connections++)
    const { port } = new URL(`http://${await listen(server)}`)
    for (const addresses of [['127.0.0.1'], ['192.0.2.1', '127.0.0.1'], ['::ffff:127.0.0.1']]) {
      const url = new URL(`http://rebound.example:${port}/`)
      // As that of the system, it answers later.
      const lookup: net.LookupFunction = (_host, _options, done) =>
        setImmediate(
          done,
          null,
          addresses.map(address => ({ address, family: net.isIP(address) })),
        )
      const outgoing = http.request(url, { lookup })
      refuseInternalAddresses(outgoing, url)
      const failed = new Promise<Error>(resolve => outgoing.on('error', resolve))
      outgoing.end()
      assert.match(String(await failed), /an address of this machine or its network alone/)
    }
    assert.equal(connections, 0)
  })

  test('an answer from this machine may point at this machine', async () => {
    const storage = await serve((_, response) => response.writeHead(200, manifestType).end(manifest))
    const host = await serve((_, response) =>
      response.writeHead(307, { location: `http://${storage}/blob` }).end(),
    )
    const found = await repositoryAt(host).readManifest(v1)
    assert.equal(found?.descriptor.digest, manifestDescriptor.digest)
  })
})
