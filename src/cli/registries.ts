import { join } from 'node:path'
import { authorityCertificatePath } from '../registry/tls/authority.ts'
import { createRemote, type Remote, type RemoteDeps } from '../remote/client.ts'
import { type Credentials, dockerCredentials } from '../remote/credentials.ts'
import { proxiesOf } from '../remote/proxies.ts'
import { createTrust, type Trust } from '../remote/trust.ts'
import type { Settings } from './config/config.ts'
import type { Session } from './session.ts'
import type { Terminal } from './terminal.ts'
import { VERSION } from './version.ts'

/**
 * A client for other registries, by the settings and with Docker's credentials. The caller closes it.
 * @param rest what is to be otherwise
 */
export function openRemote(
  { settings }: Pick<Session, 'settings'>,
  terminal: Terminal,
  rest: Partial<RemoteDeps> = {},
): Remote {
  return createRemote({
    registries: settings.registries,
    trust: trustOf(settings.root, terminal),
    chooseProxy: proxiesOf(terminal.env),
    credentials: credentialsOf(settings, terminal),
    userAgent: `slipway/${VERSION}`,
    now: terminal.now,
    timeouts: settings.timeouts,
    ...rest,
  })
}

/** What `docker login` and `podman login` have left. `REGISTRY_AUTH_FILE` is Podman's name for a file of one's own. */
export function credentialsOf(
  { dockerConfigDirectory }: Pick<Settings, 'dockerConfigDirectory'>,
  { env, homeDirectory }: Pick<Terminal, 'env' | 'homeDirectory'>,
): Credentials {
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR } = env
  const files = [
    REGISTRY_AUTH_FILE,
    join(dockerConfigDirectory, 'config.json'),
    XDG_RUNTIME_DIR && join(XDG_RUNTIME_DIR, 'containers/auth.json'),
    join(homeDirectory, '.config/containers/auth.json'),
  ]
  return dockerCredentials({ files: files.filter(isNamed), env })
}

function isNamed(file: string | undefined): file is string {
  return file !== undefined && file !== ''
}

/** Whose certificates a store's commands believe, of registries and of other servers. */
export function trustOf(storeRoot: string, { homeDirectory }: Pick<Terminal, 'homeDirectory'>): Trust {
  return createTrust({
    hostFolders: [
      '/etc/docker/certs.d',
      '/etc/containers/certs.d',
      join(homeDirectory, '.config/containers/certs.d'),
    ],
    // What `serve --tls auto` over the same store has is trusted without a word.
    authorityFiles: [authorityCertificatePath(storeRoot)],
  })
}
