/** All that a build reads from elsewhere than its context and registries. */
import { join } from 'node:path'
import { proxiesOf } from '../../remote/proxies.ts'
import type { Timeouts } from '../../remote/transport.ts'
import type { Trust } from '../../remote/trust.ts'
import { readSecret, type SecretSource } from '../secrets.ts'
import { httpAuthorization } from './authorization.ts'
import { createDownloads, type Downloads } from './downloads.ts'
import { createGitAuthorities } from './git-authorities.ts'
import { createGit, type Environment } from './git-program.ts'
import { createGitSources, type GitSources } from './git-sources.ts'
import { createSshAgents, type SshAgents, type SshSource } from './ssh-agents.ts'

/** Holds what it has got until it is disposed. */
export interface Sources extends AsyncDisposable {
  readonly downloads: Downloads
  readonly git: GitSources
  readonly ssh: SshAgents
}

export interface SourcesOptions {
  readonly storeRoot: string
  /** By id; read when they are needed. */
  readonly secrets: ReadonlyMap<string, SecretSource>
  readonly ssh: ReadonlyMap<string, SshSource>
  /** Of our own process: where programs are, and proxies. */
  readonly environment: Environment
  /** With a short name: sockets have no long ones. */
  readonly socketDirectory: string
  /** Of https servers; without it, Node's own list of authorities. */
  readonly trust?: Trust
  /** For servers of ADD. */
  readonly timeouts?: Timeouts
}

/** Nothing is opened before it is needed. */
export function createSources(options: SourcesOptions): Sources {
  const { storeRoot, secrets, environment, socketDirectory } = options
  const read = (id: string) => readSecret(secrets, id)
  const ssh = createSshAgents({ sources: options.ssh, environment, socketDirectory })
  const authorities = createGitAuthorities(options.trust, join(storeRoot, 'tmp'))
  const git = createGitSources({
    git: createGit(environment),
    authorities,
    storeRoot,
    readSecret: read,
    sshAgent: id => ssh.socket(id),
  })
  const downloads = createDownloads({
    openTransport: async () => {
      const { createTransport } = await import('../../remote/transport.ts')
      return createTransport({
        chooseProxy: proxiesOf(environment),
        ...(options.trust && { trust: options.trust }),
        ...(options.timeouts && { timeouts: options.timeouts }),
      })
    },
    authorization: url => httpAuthorization(url, read),
    temporaryDirectory: join(storeRoot, 'tmp'),
  })
  return {
    downloads,
    git,
    ssh,
    async [Symbol.asyncDispose]() {
      await git[Symbol.asyncDispose]()
      await authorities[Symbol.asyncDispose]()
      await downloads[Symbol.asyncDispose]()
      await ssh[Symbol.asyncDispose]()
    },
  }
}
