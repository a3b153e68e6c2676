import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { httpAuthorization } from '../../../../src/builder/fetch/authorization.ts'
import { createDownloads, type DownloadLimits } from '../../../../src/builder/fetch/downloads.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { createTransport } from '../../../../src/remote/transport.ts'

const { signal } = new AbortController()
const LIMITS: DownloadLimits = { bytes: 1000, time: 60_000, redirects: 3 }

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-downloads-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

async function serve(listener: RequestListener): Promise<Disposable & { url(path: string): URL }> {
  const server: Server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: path => new URL(path, `http://127.0.0.1:${port}`),
    [Symbol.dispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

const open = (limits = LIMITS) =>
  createDownloads({ openTransport: async () => createTransport(), temporaryDirectory: folder, limits })

describe('createDownloads()', () => {
  it('gives content, digest and time, and asks once', async () => {
    let requests = 0
    using server = await serve((_, response) => {
      requests++
      response.setHeader('last-modified', 'Thu, 01 Jan 1970 00:01:17 GMT').end('hello')
    })
    await using downloads = open()
    const url = server.url('/f')
    const [first, second] = await Promise.all([1, 2].map(() => downloads.get(url, 'sha256', signal)))
    assert.equal(first, second)
    assert.equal(requests, 1)
    assert.deepEqual([first?.digest, first?.size, first?.mtime], [digestOf('hello'), 5, 77])
    assert.equal(String(await first?.open()), 'hello')
  })

  it('has no time where the server tells none that a file can have', async () => {
    using server = await serve((request, response) => {
      if (request.url === '/bad') response.setHeader('last-modified', 'yesterday')
      response.end()
    })
    await using downloads = open()
    for (const path of ['/none', '/bad'])
      assert.equal((await downloads.get(server.url(path), 'sha256', signal)).mtime, undefined)
  })

  it('logs in with a secret of the host, which redirects take to no other', async () => {
    const seen: (string | undefined)[] = []
    using other = await serve((request, response) => {
      seen.push(request.headers.authorization)
      response.end('x')
    })
    using server = await serve((request, response) => {
      seen.push(request.headers.authorization)
      const location = request.url === '/a' ? '/b' : other.url('/c').href
      response.writeHead(302, { location }).end()
    })
    for (const [secrets, authorization] of [
      [{ 'HTTP_AUTH_TOKEN_127.0.0.1': 'abc\n' }, 'Bearer abc'],
      [{ 'HTTP_AUTH_HEADER_127.0.0.1': 'Digest x' }, 'Digest x'],
      [{ 'HTTP_AUTH_HEADER_127.0.0.1': 'x', 'HTTP_AUTH_TOKEN_127.0.0.1': 'abc' }, 'Bearer abc'],
      [{ HTTP_AUTH_TOKEN_localhost: 'abc' }, undefined],
    ] as const) {
      const known = new Map(Object.entries(secrets))
      const readSecret = async (id: string) => {
        const value = known.get(id)
        return value === undefined ? undefined : Buffer.from(value)
      }
      await using downloads = createDownloads({
        openTransport: async () => createTransport(),
        authorization: url => httpAuthorization(url, readSecret),
        temporaryDirectory: folder,
      })
      await downloads.get(server.url('/a'), 'sha256', signal)
      assert.deepEqual(seen.splice(0), [authorization, authorization, undefined])
    }
  })

  it('follows redirects, and takes user and password to no other host', async () => {
    const seen: (string | undefined)[] = []
    using other = await serve((request, response) => {
      seen.push(request.headers.authorization)
      response.end('x')
    })
    using server = await serve((request, response) => {
      seen.push(request.headers.authorization)
      const location = request.url === '/a' ? '/b' : other.url('/c').href.replace('//', '//u:stolen@')
      response.writeHead(302, { location }).end()
    })
    const url = server.url('/a')
    url.username = 'me'
    url.password = 'secret'
    await using downloads = open()
    await downloads.get(url, 'sha256', signal)
    const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`
    assert.deepEqual(seen, [basic, basic, undefined])
  })

  it('refuses circles, other protocols, errors and what is too long, without telling secrets', async () => {
    using server = await serve((request, response) => {
      if (request.url === '/circle') response.writeHead(301, { location: '/circle' }).end()
      else if (request.url === '/file') response.writeHead(301, { location: 'file:///etc/passwd' }).end()
      else if (request.url === '/long') response.end(Buffer.alloc(1001))
      else response.writeHead(404).end('secret')
    })
    await using downloads = open()
    const refusals: readonly (readonly [path: string, message: RegExp])[] = [
      ['/circle', /more than 3 redirects/],
      ['/file', /redirects to "file:/],
      ['/long', /more than 1000 bytes/],
      ['/gone?token=secret', /answered 404/],
    ]
    for (const [path, message] of refusals)
      await assert.rejects(
        downloads.get(server.url(path), 'sha256', signal),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'download-failed')
          assert.match(error.message, message)
          assert.doesNotMatch(error.message, /secret/)
          return true
        },
      )
  })

  it('gives up after its time, and at once when the build is aborted', async () => {
    using server = await serve((_, response) => {
      response.write('x')
    })
    await using patient = open()
    const controller = new AbortController()
    const aborted = patient.get(server.url('/'), 'sha256', controller.signal)
    controller.abort(new Error('enough'))
    await assert.rejects(aborted, /enough/)
    await using downloads = open({ ...LIMITS, time: 50 })
    await assert.rejects(downloads.get(server.url('/'), 'sha256', signal), /longer than 0.05 seconds/)
  })
})
