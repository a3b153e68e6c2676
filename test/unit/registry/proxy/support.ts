import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'
import supertest from 'supertest'
import type { Digest } from '../../../../src/oci/digest.ts'
import { createRegistryApp } from '../../../../src/registry/app.ts'
import { createProxyStore } from '../../../../src/registry/proxy/proxy-store.ts'
import { createNameResolver } from '../../../../src/registry/proxy/resolve-name.ts'
import { createFindUpstream } from '../../../../src/registry/proxy/upstreams.ts'
import type { RepositoryStore } from '../../../../src/registry/repository-store.ts'
import { createRepositoryStore } from '../../../../src/registry/store-repositories.ts'
import { createRemote } from '../../../../src/remote/client.ts'
import { anonymous, type Credentials } from '../../../../src/remote/credentials.ts'
import { type DiskStore, openStore } from '../../../../src/store/open.ts'
import { Clock } from '../../store/support.ts'
import type { TestRegistry } from '../client.ts'
import { openTestStore } from '../support.ts'

/** Answers a request itself when it returns true; else the upstream does. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean

/** A registry that others pull through from. It counts, and fails as the test says. */
export interface TestUpstream extends TestRegistry {
  readonly host: string
  /** `GET /v2/library/debian/manifests/12`, those of clients that fill it left out. */
  readonly seen: string[]
  fault: Fault | undefined
  /** Nobody listens any more. */
  stop(): Promise<void>
}

export async function openUpstream(): Promise<TestUpstream> {
  const disk = await openTestStore()
  const faults: unknown[] = []
  const app = createRegistryApp({
    repositories: createRepositoryStore({ store: disk.store }),
    log: { failed: (_request, cause) => faults.push(cause) },
  })
  await app.ready()
  const seen: string[] = []
  const server = http.createServer((request, response) => {
    if (request.headers['user-agent'] === USER_AGENT) {
      seen.push(`${request.method} ${request.url}`)
      if (upstream.fault?.(request, response) === true) return
    }
    app.routing(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }
  const host = `127.0.0.1:${port}`
  const upstream: TestUpstream = {
    http: supertest(`http://${host}`),
    disk,
    port,
    faults,
    host,
    seen,
    fault: undefined,
    stop,
  }
  after(async () => {
    await stop()
    await app.close()
    disk.remove()
  })
  return upstream
}

const USER_AGENT = 'slipway-proxy-test'
export const HOUR_MS = 3_600_000

export interface TestProxy extends TestRegistry {
  readonly repositories: RepositoryStore
  readonly store: DiskStore
  readonly clock: Clock
  readonly log: string[]
  /** `blob hit`, as they happen. */
  readonly served: string[]
  /** Bytes that came from the upstream. */
  received(): number
}

export interface TestProxyOptions {
  /** Of another proxy, to be a second process over its store. */
  readonly root?: string
  readonly defaultHost?: string
  readonly credentials?: Credentials
  readonly idleMs?: number
  readonly maxBytes?: number
}

/** A registry that pulls through from the upstream, which it takes for `docker.io`. Tags are believed for an hour. */
export async function openProxy(upstream: TestUpstream, options: TestProxyOptions = {}): Promise<TestProxy> {
  const clock = new Clock()
  const disk = await openTestStore()
  const store = await openStore({ root: options.root ?? disk.store.root, now: clock.now })
  const log: string[] = []
  const served: string[] = []
  let received = 0
  const remote = createRemote({
    registries: {},
    credentials: options.credentials ?? anonymous,
    userAgent: USER_AGENT,
    now: clock.now,
    delay: async () => undefined,
    timeouts: { connectMs: 1000, idleMs: options.idleMs ?? 2000 },
  })
  const inner = createRepositoryStore({ store })
  const proxy = createProxyStore({
    repositories: inner,
    store,
    findUpstream: createFindUpstream(
      {
        repository: (reference, rest) => remote.repository({ ...reference, registry: upstream.host }, rest),
      },
      ['docker.io'],
    ),
    hosts: ['docker.io'],
    revalidateMs: HOUR_MS,
    ...(options.maxBytes !== undefined && { maxBytes: options.maxBytes }),
    log: {
      info: message => log.push(message),
      problem: (consequence, error) =>
        log.push(`${error instanceof Error ? error.message : error}; ${consequence}`),
    },
    usage: {
      served: (kind, isHit) => served.push(`${kind} ${isHit ? 'hit' : 'miss'}`),
      received: bytes => {
        received += bytes
      },
    },
    now: clock.now,
  })
  const { repositories } = proxy
  const faults: unknown[] = []
  const app = createRegistryApp({
    repositories,
    names: createNameResolver({
      isProxy: true,
      repositories: inner,
      ...(options.defaultHost !== undefined && { defaultHost: options.defaultHost }),
    }),
    log: { failed: (_request, cause) => faults.push(cause) },
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  after(async () => {
    app.server.closeAllConnections()
    await app.close()
    await proxy.close()
    remote[Symbol.dispose]()
    store[Symbol.dispose]()
    disk.remove()
  })
  return {
    http: supertest(url),
    disk,
    port: Number(new URL(url).port),
    faults,
    repositories,
    store,
    clock,
    log,
    served,
    received: () => received,
  }
}

export const DEBIAN = '/v2/docker.io/library/debian'

/** Requests to the upstream for one thing. */
export function asked({ seen }: TestUpstream, method: string, end: string | Digest): number {
  return seen.filter(line => line.startsWith(`${method} `) && line.endsWith(end)).length
}
