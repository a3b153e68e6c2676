import { readFile } from 'node:fs/promises'
import type { RegistryAppDeps } from '../../registry/app.ts'
import type { Collector } from '../../registry/operations/metrics.ts'
import type { RepositoryStore } from '../../registry/repository-store.ts'
import type { Credentials } from '../../remote/credentials.ts'
import { RemoteError } from '../../remote/errors.ts'
import type { Endpoint } from '../../remote/registry-config.ts'
import type { ProxyCredential } from '../config/proxy.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import type { Notices } from './notices.ts'
import { createProxyMetrics } from './proxy-metrics.ts'

/** What pulling through adds to the registry; its connections and downloads end with the app. */
export interface ProxyWiring {
  readonly repositories: RepositoryStore
  readonly names: NonNullable<RegistryAppDeps['names']>
  readonly extras: NonNullable<RegistryAppDeps['extras']>
  readonly collectors: readonly Collector[]
}

export async function wireProxy(
  session: Session,
  repositories: RepositoryStore,
  notices: Notices,
  terminal: Terminal,
): Promise<ProxyWiring> {
  const { settings, store } = session
  const { createNameResolver } = await import('../../registry/proxy/resolve-name.ts')
  const { proxy } = settings
  if (proxy === undefined || proxy.hosts.length === 0)
    return {
      repositories,
      names: createNameResolver({ repositories, isProxy: false }),
      extras: [],
      collectors: [],
    }

  // Missing, they would be noticed by the first client.
  for (const { password } of proxy.credentials.values())
    if ('file' in password) await readPassword(password.file)
  const { createProxyStore } = await import('../../registry/proxy/proxy-store.ts')
  const { createFindUpstream } = await import('../../registry/proxy/upstreams.ts')
  const { credentialsOf, openRemote } = await import('../registries.ts')
  const { isOfSameSite } = await import('../../registry/proxy/same-site.ts')
  const remote = openRemote(session, terminal, {
    credentials: proxyCredentials(credentialsOf(settings, terminal), proxy.credentials),
    timeouts: TIMEOUTS,
    trustsRealm: (endpoint: Endpoint, realm) =>
      realm.hostname === proxy.credentials.get(endpoint.host)?.realm ||
      isOfSameSite(endpoint.base.hostname, realm.hostname),
  })
  const usage = createProxyMetrics()
  const pulling = createProxyStore({
    ...proxy,
    repositories,
    store,
    findUpstream: createFindUpstream(remote, proxy.hosts),
    usage,
    log: {
      info: message => notices.info('proxy', message),
      problem: (consequence, error) => notices.problem('proxy', consequence, error),
    },
    now: terminal.now,
  })
  return {
    repositories: pulling.repositories,
    names: createNameResolver({
      repositories,
      isProxy: true,
      ...(proxy.defaultHost !== undefined && { defaultHost: proxy.defaultHost }),
    }),
    collectors: [usage.collect],
    extras: [
      app => {
        app.addHook('onClose', async () => {
          await pulling.close()
          remote[Symbol.dispose]()
        })
      },
    ],
  }
}

/** Our own clients wait for the answer. */
const TIMEOUTS = { connectMs: 8000, idleMs: 20_000 }

/** Those of the configuration, else those that `docker login` left. */
function proxyCredentials(
  docker: Credentials,
  configured: ReadonlyMap<string, ProxyCredential>,
): Credentials {
  return {
    async get(host, signal) {
      const credential = configured.get(host)
      if (credential === undefined) return docker.get(host, signal)
      const { username, password } = credential
      return {
        kind: 'password',
        username,
        password: 'text' in password ? password.text : await readPassword(password.file),
      }
    },
  }
}

async function readPassword(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch (error) {
    throw new RemoteError(
      'credentials-invalid',
      `Cannot read password file ${file}: it is not a readable file`,
      {
        cause: error,
      },
    )
  }
}
