import { join } from 'node:path'
import { authorityCertificatePath } from '../registry/tls/authority.ts'
import { createRemote, type Remote, type RemoteDeps } from '../remote/client.ts'
import { dockerCredentials } from '../remote/credentials.ts'
import { createTrust, type Trust } from '../remote/trust.ts'
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
    credentials: dockerCredentials({ directory: settings.dockerConfigDirectory, env: terminal.env }),
    userAgent: `slipway/${VERSION}`,
    now: terminal.now,
    timeouts: settings.timeouts,
    ...rest,
  })
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
