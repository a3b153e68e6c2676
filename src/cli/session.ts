import type { Platform } from '../oci/platform.ts'
import { platformOfHost } from '../oci/platform.ts'
import type { FileSender } from '../store/direct-send.ts'
import { type DiskStore, openStore } from '../store/open.ts'
import type { PooledSha256 } from '../store/running-hash.ts'
import type { Arguments } from './arguments.ts'
import { loadSettings, type Settings } from './config/config.ts'
import { warnOfOwner } from './store-owner.ts'
import type { Terminal } from './terminal.ts'

/** What most commands work with: the settings and the open store. Disposing closes the store. */
export interface Session extends Disposable {
  readonly settings: Settings
  readonly store: DiskStore
  readonly hostPlatform: Platform
}

/**
 * @param options `freesSpace`: the command may use the room that is kept on a full disk; `addsContent`: it writes files
 * that stay; `sender`: it sends content over the network; `sha256`: it receives content
 */
export async function openSession(
  args: Arguments,
  terminal: Terminal,
  options: {
    readonly freesSpace?: boolean
    readonly addsContent?: boolean
    readonly sender?: FileSender | undefined
    readonly sha256?: (() => PooledSha256) | undefined
  } = {},
): Promise<Session> {
  const settings = await loadSettings(args, terminal)
  const { root, policy, contentLimits: limits } = settings
  const { addsContent = false, ...opening } = options
  const store = await openStore({ root, now: terminal.now, rules: policy.rules, limits, ...opening })
  if (addsContent) warnOfOwner(root, terminal)
  return {
    settings,
    store,
    hostPlatform: platformOfHost(terminal.platform, terminal.arch),
    [Symbol.dispose]: () => store[Symbol.dispose](),
  }
}
