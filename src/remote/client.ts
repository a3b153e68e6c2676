import { onDockerHub, type Reference, repositoryOf } from '../oci/reference.ts'
import { createAuthorizer } from './auth.ts'
import { createRepository } from './create-repository.ts'
import type { Credentials } from './credentials.ts'
import { createExchange } from './exchange.ts'
import { createMirrorChoice } from './mirrors.ts'
import type { ChooseProxy } from './proxies.ts'
import { type Endpoint, mirrorEndpoints, ownEndpoint, type RegistryConfig } from './registry-config.ts'
import type { RemoteRepository } from './repository.ts'
import { type Delay, realDelay } from './retry.ts'
import { createTransport, type Timeouts, type Transport } from './transport.ts'
import type { Trust } from './trust.ts'

export interface RemoteDeps {
  readonly registries: RegistryConfig
  readonly credentials: Credentials
  /** `slipway/1.0` */
  readonly userAgent: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly timeouts?: Timeouts
  /** Whose certificates are believed; without it, those of Node's own list. */
  readonly trust?: Trust
  /** Without it registries are asked directly. */
  readonly chooseProxy?: ChooseProxy
  /** Closed with the client. */
  readonly transport?: Transport
  readonly delay?: Delay
  /** Whether credentials of an endpoint may go to this token endpoint; without it they may. */
  readonly trustsRealm?: (endpoint: Endpoint, realm: URL) => boolean
}

/** A client of the distribution API. Disposing closes its connections. */
export interface Remote extends Disposable {
  /** A name without a registry means Docker Hub's. Nothing is asked yet. @throws RemoteError `registry-unreachable` for a configured name that is no host */
  repository(reference: Reference, options: RepositoryOptions): RemoteRepository
}

export interface RepositoryOptions {
  /** Ends every wait of the repository's calls; they then throw its reason. */
  readonly signal: AbortSignal
  /** Paths of repositories of the same registry that may have the blobs that are written, best first. */
  readonly mountFrom?: readonly string[]
}

export function createRemote(deps: RemoteDeps): Remote {
  const { registries, credentials, userAgent, now, delay = realDelay } = deps
  const transport = deps.transport ?? createTransport(deps)
  const authorizer = createAuthorizer({
    transport,
    credentials,
    userAgent,
    now,
    ...(deps.trustsRealm && { trustsRealm: deps.trustsRealm }),
  })
  const exchange = createExchange({ transport, authorizer, delay, userAgent })
  const mirrorChoice = createMirrorChoice(now)
  return {
    repository(reference, { signal, mountFrom = [] }) {
      const { registry, path } = onDockerHub(reference)
      const own = ownEndpoint(registry, registries)
      const mirrors = mirrorEndpoints(registry, registries)
      const name = repositoryOf({ registry, path })
      return createRepository({ name, path, own, mirrors, exchange, delay, mirrorChoice, signal, mountFrom })
    },
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  }
}
