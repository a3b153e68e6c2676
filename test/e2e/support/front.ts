import http from 'node:http'
import type { AddressInfo } from 'node:net'

/** Stands before a registry, and sees what is asked of it. */
export interface Front extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  /** `GET /v2/app/manifests/1` */
  readonly seen: string[]
  /** From now on nobody listens. */
  stop(): Promise<void>
}

export async function startFront(behind: string): Promise<Front> {
  const seen: string[] = []
  const [hostname, port] = behind.split(':')
  const server = http.createServer((request, response) => {
    const { method, url, headers } = request
    seen.push(`${method} ${url?.split('?')[0]}`)
    const onward = http.request({ hostname, port, method, path: url, headers }, answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
