/** Serves bare repositories over HTTP with git's own server program, as hosting sites do. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'

export interface GitServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, or https */
  readonly url: string
  /** `<method> <path>` of every request so far, and its authorization where it had one. */
  readonly requests: readonly { readonly line: string; readonly authorization?: string }[]
}

export interface GitServerOptions {
  /** What requests must send as `authorization`. */
  readonly authorization?: string
  readonly port?: number
  /** It speaks TLS. */
  readonly tls?: { readonly key: string; readonly cert: string }
}

/** @param root the folder of the repositories */
export async function serveGit(root: string, options: GitServerOptions = {}): Promise<GitServer> {
  const requests: { line: string; authorization?: string }[] = []
  const onRequest: http.RequestListener = (request, response) => {
    const { authorization } = request.headers
    requests.push({
      line: `${request.method} ${request.url}`,
      ...(authorization !== undefined && { authorization }),
    })
    if (options.authorization !== undefined && authorization !== options.authorization)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('who are you?')
    else answer(root, request, response)
  }
  const server = options.tls ? https.createServer(options.tls, onRequest) : http.createServer(onRequest)
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http${options.tls ? 's' : ''}://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A CGI call (RFC 3875). */
function answer(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://server')
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      REMOTE_ADDR: '127.0.0.1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  request.pipe(backend.stdin)
  backend.stdin.on('error', () => undefined)
  const chunks: Buffer[] = []
  backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  backend.once('close', () => {
    const output = Buffer.concat(chunks)
    const end = output.indexOf('\r\n\r\n')
    let status = 200
    for (const line of output.subarray(0, end).toString().split('\r\n')) {
      const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(line) ?? []
      if (name === 'Status') status = Number.parseInt(value, 10)
      else if (name !== '') response.setHeader(name, value)
    }
    response.writeHead(status).end(output.subarray(end + 4))
  })
}

/** Runs git where no configuration of this machine is seen, at one moment. Returns what it printed. */
export function git(directory: string, ...args: readonly string[]): string {
  return execFileSync('git', args, {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: 'protocol.file.allow',
      GIT_CONFIG_VALUE_0: 'always',
      GIT_CONFIG_KEY_1: 'init.defaultBranch',
      GIT_CONFIG_VALUE_1: 'main',
      GIT_AUTHOR_NAME: 'A',
      GIT_AUTHOR_EMAIL: 'a@example.org',
      GIT_AUTHOR_DATE: '2021-02-03T04:05:06Z',
      GIT_COMMITTER_NAME: 'A',
      GIT_COMMITTER_EMAIL: 'a@example.org',
      GIT_COMMITTER_DATE: '2021-02-03T04:05:06Z',
    },
  }).trim()
}
