/** Clients that speak HTTP badly, slowly or unusually, byte by byte over their own sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { digestOf } from '../../../src/oci/digest.ts'
import { MAX_MANIFEST_BYTES } from '../../../src/oci/manifest.ts'
import { isError, openRegistry, prepareImage, pushBlob, pushImage, type TestRegistry } from './client.ts'

/** So short that a test can wait for it. */
const PATIENCE = { idleMs: 400, headerMs: 300, checkMs: 50 }

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function open({ port }: TestRegistry, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => socket.destroy())
  socket.write(text)
  return socket
}

/** Everything until the server closes. */
async function readAll(socket: Socket): Promise<string> {
  let got = ''
  socket.on('data', chunk => {
    got += chunk
  })
  socket.resume()
  if (!socket.destroyed) await new Promise(resolve => socket.once('close', resolve))
  return got
}

async function talk(registry: TestRegistry, text: string): Promise<string> {
  return readAll(await open(registry, text))
}

async function ask(registry: TestRegistry, text: string): Promise<Answer> {
  return parseAnswer(await talk(registry, text))
}

function parseAnswer(text: string): Answer {
  const [head = '', ...body] = text.split('\r\n\r\n')
  const [line = '', ...lines] = head.split('\r\n')
  const headers = lines.map(header => [
    header.slice(0, header.indexOf(':')).toLowerCase(),
    header.slice(header.indexOf(':') + 2),
  ])
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(line)?.[1]),
    headers: Object.fromEntries(headers),
    body: body.join('\r\n\r\n'),
  }
}

function assertRefused(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status)
  assert.equal(answer.headers['content-type'], 'application/json')
  assert.equal(answer.headers.connection, 'close')
  const { errors } = JSON.parse(answer.body)
  assert.deepEqual(
    errors.map((error: { code: string }) => error.code),
    [code],
  )
}

const CLOSE = 'Host: x\r\nConnection: close\r\n'

describe('requests that are no HTTP', async () => {
  const registry = await openRegistry()

  const nonsense = {
    'a line that is none': 'how do you do\r\n\r\n',
    'the start of a TLS handshake': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    'a method that nobody knows': `BREW /v2/ HTTP/1.1\r\n${CLOSE}\r\n`,
    'a length that is no number': `PUT /v2/app/manifests/v1 HTTP/1.1\r\n${CLOSE}Content-Length: many\r\n\r\n`,
    'two lengths': `PUT /v2/app/manifests/v1 HTTP/1.1\r\n${CLOSE}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
    'a length beside chunks': `PUT /v2/app/manifests/v1 HTTP/1.1\r\n${CLOSE}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'a space in the path': `GET /v2/my app/tags/list HTTP/1.1\r\n${CLOSE}\r\n`,
    'NUL in the path': `GET /v2/a\0b/tags/list HTTP/1.1\r\n${CLOSE}\r\n`,
    'NUL in a header': `GET /v2/ HTTP/1.1\r\n${CLOSE}X-A: a\0b\r\n\r\n`,
  }
  for (const [what, text] of Object.entries(nonsense))
    it(`L17: answers 400 in the form of the specification to ${what}`, async () => {
      assertRefused(await ask(registry, text), 400, 'UNSUPPORTED')
    })

  it('L17: answers 400 to a request of HTTP/1.1 without a Host', async () => {
    const { status, body } = await ask(registry, 'GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n')
    assert.equal(status, 400)
    assert.equal(JSON.parse(body).errors[0].code, 'UNSUPPORTED')
  })

  it('L17: answers 431 to a header beyond 16 KiB', async () => {
    const answer = await ask(registry, `GET /v2/ HTTP/1.1\r\n${CLOSE}X-Long: ${'x'.repeat(20_000)}\r\n\r\n`)
    assertRefused(answer, 431, 'SIZE_INVALID')
  })

  it('L17: answers 431 to a path beyond 16 KiB', async () => {
    const answer = await ask(registry, `GET /v2/${'a/'.repeat(10_000)}tags/list HTTP/1.1\r\n${CLOSE}\r\n`)
    assertRefused(answer, 431, 'SIZE_INVALID')
  })

  const before = {
    'that is on its way': '',
    'behind which another request waits': 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n',
  }
  for (const [what, request] of Object.entries(before))
    it(`writes nothing into an answer ${what}`, async () => {
      const big = Buffer.alloc(24 * 1024 * 1024, 'x')
      const digest = await pushBlob(registry, 'app', big)
      const socket = await open(registry, `GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
      const [first] = await once(socket, 'data')
      assert.match(String(first), /^HTTP\/1\.1 200/)
      socket.write(`${request}nonsense\r\n\r\n`)
      assert.doesNotMatch(await readAll(socket), /HTTP\/1\.1|UNSUPPORTED/)
    })

  it('serves others on', async () => {
    await registry.http.get('/v2/').expect(200)
  })
})

describe('requests in unusual forms', async () => {
  const registry = await openRegistry()
  const { http } = registry
  const { digest } = await pushImage(registry, 'app', 'v1')

  it('end-3: GET takes an absolute target, as clients write it to proxies', async () => {
    for (const target of [
      'http://registry.example/v2/app/manifests/v1',
      'HTTPS://x:5000/v2/app/manifests/v1?a=b',
    ]) {
      const answer = await ask(registry, `GET ${target} HTTP/1.1\r\n${CLOSE}\r\n`)
      assert.equal(answer.status, 200)
      assert.equal(answer.headers['docker-content-digest'], digest)
    }
    assert.equal((await ask(registry, `GET http://x HTTP/1.1\r\n${CLOSE}\r\n`)).status, 404)
    assert.equal((await ask(registry, `GET ftp://x/v2/ HTTP/1.1\r\n${CLOSE}\r\n`)).status, 404)
  })

  it('end-1: answers HTTP/1.0, whose clients send no Host and keep no connection', async () => {
    const answer = await ask(registry, 'GET /v2/ HTTP/1.0\r\n\r\n')
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.connection, 'close')
    assert.equal(answer.headers['transfer-encoding'], undefined)
    assert.equal(answer.body, '{}')
  })

  it('end-2: answers requests that were sent without waiting, in their order', async () => {
    const texts = ['one', 'two', 'three']
    const digests = await Promise.all(texts.map(text => pushBlob(registry, 'app', text)))
    const gets = digests.map(digest => `GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    const got = await talk(registry, `${gets.join('')}HEAD /v2/ HTTP/1.1\r\n${CLOSE}\r\n`)
    const bodies = got.split(/HTTP\/1\.1 200 OK\r\n/).map(part => part.split('\r\n\r\n')[1])
    assert.deepEqual(bodies, [undefined, ...texts, ''])
  })

  it('end-5: requests sent without waiting go on with an upload, in their order', async () => {
    const location = (await http.post('/v2/app/blobs/uploads/').expect(202)).headers.location
    const patch = (text: string) =>
      `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`
    const put = `PUT ${location}?digest=${digestOf('abcdef')} HTTP/1.1\r\n${CLOSE}Content-Length: 0\r\n\r\n`
    const got = await talk(registry, patch('abc') + patch('def') + put)
    assert.deepEqual(
      [...got.matchAll(/HTTP\/1\.1 (\d+)/g)].map(match => match[1]),
      ['202', '202', '201'],
    )
  })

  it('end-6: tells a client that waits for leave to go on, and takes its bytes', async () => {
    const location = (await http.post('/v2/app/blobs/uploads/').expect(202)).headers.location
    const socket = await open(
      registry,
      `PUT ${location}?digest=${digestOf('waited')} HTTP/1.1\r\n${CLOSE}Content-Length: 6\r\nExpect: 100-continue\r\n\r\n`,
    )
    const [first] = await once(socket, 'data')
    assert.equal(String(first), 'HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('waited')
    assert.equal(parseAnswer(await readAll(socket)).status, 201)
  })

  it('end-6: refuses without asking for the bytes where they would be in vain', async () => {
    const refused = {
      [`/v2/app/blobs/uploads/no-such?digest=${digestOf('x')}`]: 404,
      '/v2/app/manifests/v2': 413,
      '/v2/App/manifests/v2': 400,
    }
    for (const [path, status] of Object.entries(refused)) {
      const answer = await ask(
        registry,
        `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n`,
      )
      assert.equal(answer.status, status)
      assert.equal(answer.headers.connection, 'close')
    }
  })

  it('closes when asked to, also after a refusal', async () => {
    for (const path of ['/v2/', '/v2/app/manifests/none', '/v2/app/manifests/v1'])
      assert.equal(
        (await ask(registry, `GET ${path} HTTP/1.1\r\n${CLOSE}\r\n`)).headers.connection,
        'close',
        path,
      )
  })

  it('end-7: refuses a manifest of a gigabyte, announced or in chunks, and keeps nothing of it', async () => {
    const block = `${(64 * 1024).toString(16)}\r\n${' '.repeat(64 * 1024)}\r\n`
    for (const framing of ['Content-Length: 1000000000', 'Transfer-Encoding: chunked']) {
      const socket = await open(
        registry,
        `PUT /v2/app/manifests/big HTTP/1.1\r\n${CLOSE}${framing}\r\nContent-Type: application/json\r\n\r\n`,
      )
      let sent = 0
      const send = () => {
        while (!socket.destroyed && sent < 1e9) {
          sent += block.length
          if (!socket.write(block)) return
        }
      }
      socket.on('drain', send)
      send()
      const got = await readAll(socket)
      assert.match(got, /^(HTTP\/1\.1 413|$)/)
      assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken`)
    }
    await http.get('/v2/app/manifests/big').expect(404)
  })

  it('end-7: takes 4 MiB in chunks', async () => {
    const { bytes } = await prepareImage(registry, 'app')
    const fill = MAX_MANIFEST_BYTES - bytes.length
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
    const answer = await ask(
      registry,
      `PUT /v2/app/manifests/full HTTP/1.1\r\n${CLOSE}Transfer-Encoding: chunked\r\n\r\n${chunk(' '.repeat(fill))}${chunk(String(bytes))}0\r\n\r\n`,
    )
    assert.equal(answer.status, 201)
  })
})

describe('clients that lie about their length', async () => {
  const registry = await openRegistry()
  const { http } = registry
  const begin = async () => (await http.post('/v2/app/blobs/uploads/').expect(202)).headers.location ?? ''

  it('end-5: one that stops before what it announced can go on from there', async () => {
    const location = await begin()
    const socket = await open(
      registry,
      `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this`,
    )
    await delay(50)
    socket.destroy()
    await eventually(async () => (await http.get(location)).headers.range === '0-8')
    // Until the server has noticed, the upload is still that of the one who left: 409.
    await eventually(
      async () =>
        (await http.patch(location).set('Content-Range', '9-9').send(Buffer.from('!'))).status === 202,
    )
    await http.put(`${location}?digest=${digestOf('only this!')}`).expect(201)
  })

  it('end-5: what one sends beyond what it announced is no part of its chunk', async () => {
    const location = await begin()
    const socket = await open(
      registry,
      `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ngood`,
    )
    assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 202/)
    socket.write(' and more\r\n\r\n')
    assertRefused(parseAnswer(await readAll(socket)), 400, 'UNSUPPORTED')
    await http.get(location).expect(204).expect('Range', '0-3')
  })

  it('end-4b: one that ends early makes no blob', async () => {
    const digest = digestOf('half of it')
    const socket = await open(
      registry,
      `POST /v2/app/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf`,
    )
    await delay(50)
    socket.destroy()
    await http.head(`/v2/app/blobs/${digest}`).expect(404)
  })

  it('end-7: one that ends early stores no manifest', async () => {
    const { bytes, digest } = await prepareImage(registry, 'app')
    const socket = await open(
      registry,
      `PUT /v2/app/manifests/half HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes.length + 1}\r\n\r\n${bytes}`,
    )
    await delay(50)
    socket.destroy()
    await http.get('/v2/app/manifests/half').expect(404)
    await http.get(`/v2/app/manifests/${digest}`).expect(404)
  })

  it('end-5: a chunk that is cut keeps the bytes before the cut', async () => {
    const location = await begin()
    const socket = await open(
      registry,
      `PATCH ${location} HTTP/1.1\r\n${CLOSE}Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n`,
    )
    await delay(50)
    socket.write('zz\r\nbad')
    assertRefused(parseAnswer(await readAll(socket)), 400, 'UNSUPPORTED')
    await eventually(async () => (await http.get(location)).headers.range === '0-3')
  })
})

describe('slow clients', async () => {
  const registry = await openRegistry({ app: { patience: PATIENCE } })
  const { http } = registry

  it('end-5: an upload of a byte at a time goes on for longer than anything may be idle', async () => {
    const location = (await http.post('/v2/app/blobs/uploads/').expect(202)).headers.location
    const socket = await open(registry, `PATCH ${location} HTTP/1.1\r\n${CLOSE}Content-Length: 10\r\n\r\n`)
    const answer = readAll(socket)
    for (const byte of '0123456789') {
      await delay(100)
      socket.write(byte)
    }
    assert.equal(parseAnswer(await answer).status, 202)
  })

  it('end-5: an upload on which nothing moves is given up, and what came is kept', async () => {
    const location = (await http.post('/v2/app/blobs/uploads/').expect(202)).headers.location ?? ''
    await talk(registry, `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234`)
    await eventually(async () => (await http.get(location)).headers.range === '0-4')
    await http.get(location).expect(204)
  })

  it('L17: a header of a byte at a time is answered 408', async () => {
    const socket = await open(registry, 'GET /v2/ HTTP/1.1\r\n')
    const answer = readAll(socket)
    const dripping = setInterval(() => socket.write('X'), 50)
    assertRefused(parseAnswer(await answer), 408, 'UNSUPPORTED')
    clearInterval(dripping)
  })

  it('a connection without a request is closed', async () => {
    assert.match(await talk(registry, ''), /^($|HTTP\/1\.1 408)/)
  })

  it('end-2: a client that does not read is closed', async () => {
    const digest = await pushBlob(registry, 'app', Buffer.alloc(32 * 1024 * 1024))
    const socket = await open(registry, `GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    socket.pause()
    await delay(4 * PATIENCE.idleMs)
    assert.ok((await readAll(socket)).length < 32 * 1024 * 1024)
  })
})

describe('hostile names', async () => {
  const registry = await openRegistry()
  const { http } = registry

  const names = {
    'a parent folder': '..',
    'a parent folder, escaped': '%2e%2e',
    'a slash, escaped': 'a%2fb',
    'a parent folder and a slash, escaped': '..%2f..%2fetc',
    NUL: 'a%00b',
    'a line end': 'a%0d%0ab',
    'an upper-case letter': 'App',
    'a name that begins with a dot': '.git',
    'an empty part': 'a//b',
    '256 characters': 'a'.repeat(256),
    '2000 parts': `${'a/'.repeat(2000)}a`,
    'bad UTF-8': '%ff%fe',
    'half an escape': '%2',
  }
  for (const [what, name] of Object.entries(names))
    it(`code-8: answers NAME_INVALID to ${what}`, async () => {
      const digest = digestOf('x')
      for (const line of [
        `GET /v2/${name}/tags/list`,
        `PUT /v2/${name}/manifests/v1`,
        `POST /v2/${name}/blobs/uploads/`,
        `DELETE /v2/${name}/blobs/${digest}`,
        `GET /v2/${name}/referrers/${digest}`,
      ]) {
        const answer = await ask(registry, `${line} HTTP/1.1\r\n${CLOSE}Content-Length: 0\r\n\r\n`)
        assert.equal(answer.status, 400, line.slice(0, 50))
        assert.equal(JSON.parse(answer.body).errors[0].code, 'NAME_INVALID')
      }
    })

  it('code-8: takes a name of 255 characters in 128 parts, and keeps it apart from the shorter one', async () => {
    const deep = Array.from({ length: 128 }, () => 'a').join('/')
    await pushImage(registry, deep, 'v1')
    await http.get(`/v2/${deep}/tags/list`).expect(200)
    await http
      .get(`/v2/${deep.slice(2)}/tags/list`)
      .expect(404)
      .expect(isError('NAME_UNKNOWN'))
  })
})

async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (await check()) return
    await delay(10)
  }
  assert.fail('it did not happen')
}
