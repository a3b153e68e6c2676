import { availableParallelism, tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { BuildDeps, BuildOptions } from '../../builder/build-options.ts'
import { BINFMT_DIRECTORY, createPlatformCheck } from '../../builder/exec/emulation.ts'
import type { Sources } from '../../builder/fetch/sources.ts'
import type { SshSource } from '../../builder/fetch/ssh-agents.ts'
import type { Sandbox } from '../../builder/ops/run.ts'
import type { Remote } from '../../remote/client.ts'
import { trustOf } from '../registries.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { describeSingleID, requireNamespace } from '../user-namespace.ts'
import { readEpoch } from './inputs.ts'

/** What a build works with: our store, registries and clock, and a sandbox that is opened when a RUN needs one. */
export function buildDeps(
  options: BuildOptions,
  session: Session,
  remote: Remote,
  sources: Sources,
  terminal: Terminal,
  progress: BuildDeps['progress'],
): BuildDeps {
  const epoch = readEpoch(options.buildArgs)
  return {
    store: session.store,
    remote,
    sources,
    openSandbox: () => openSandbox(session, terminal, progress),
    progress,
    now: terminal.now,
    monotonicNow: terminal.monotonicMs,
    contentLimits: session.settings.contentLimits,
    signal: terminal.signal,
    hostPlatform: session.hostPlatform,
    requirePlatform: createPlatformCheck({
      hostPlatform: session.hostPlatform,
      directory: BINFMT_DIRECTORY,
    }),
    ...(epoch !== undefined && { sourceDateEpoch: epoch }),
    concurrency: stepsAtOnce(availableParallelism()),
  }
}

/**
 * Steps wait for the network, for the disk and for each other's files more than they compute, so stages that could run
 * side by side are not held up for want of a processor; what the layers under way take of memory stays bounded.
 */
function stepsAtOnce(processors: number): number {
  return Math.max(8, 2 * processors)
}

/** What a build takes from elsewhere, with the secrets and agents that it was given. */
export async function openSources(
  { secrets, ssh }: Pick<BuildOptions, 'secrets'> & { readonly ssh: ReadonlyMap<string, SshSource> },
  { store, settings }: Session,
  terminal: Terminal,
): Promise<Sources> {
  const { createSources } = await import('../../builder/fetch/sources.ts')
  return createSources({
    storeRoot: store.root,
    secrets,
    ssh,
    environment: terminal.env,
    socketDirectory: tmpdir(),
    trust: trustOf(store.root, terminal),
    timeouts: settings.timeouts,
  })
}

async function openSandbox(
  { store, settings: { runtime, isolation } }: Session,
  { env, namespace, userID }: Terminal,
  progress: BuildDeps['progress'],
): Promise<Sandbox> {
  const { requireLinux } = await import('../../builder/snapshot/privilege.ts')
  await requireLinux()
  if (isolation === 'oci' || userID !== 0) requireNamespace(namespace, userID)
  const note = (text: string): void => void progress({ kind: 'warning', text })
  if (namespace?.kind === 'entered' && namespace.singleIDReason !== undefined)
    note(describeSingleID(namespace.singleIDReason))
  if (isolation === 'chroot') return openChrootSandbox(store.root, note)
  const { createRuntimeExecutor } = await import('../../builder/exec/runtime-executor.ts')
  const { createCacheMounts } = await import('../../builder/snapshot/cache-mounts.ts')
  const { openSnapshotter } = await import('../../builder/snapshot/open-snapshotter.ts')
  return {
    executor: createRuntimeExecutor({
      stateRoot: store.root,
      ...(runtime !== undefined && { runtime }),
      path: env.PATH ?? '',
    }),
    cacheMounts: createCacheMounts({ root: store.root }),
    snapshotter: await openSnapshotter({
      root: store.root,
      needsMounts: true,
      note,
    }),
  }
}

/** Nothing is mounted: a step works where its root filesystem lies. */
async function openChrootSandbox(root: string, note: (text: string) => void): Promise<Sandbox> {
  const { createChrootExecutor } = await import('../../builder/exec/chroot-executor.ts')
  const { createCacheMounts } = await import('../../builder/snapshot/cache-mounts.ts')
  const { createCopyingSnapshotter } = await import('../../builder/snapshot/copying-snapshotter.ts')
  return {
    executor: createChrootExecutor({
      stateRoot: root,
      programs: {
        node: process.execPath,
        watcher: fileURLToPath(new URL('../chroot/watch.ts', import.meta.url)),
        launcher: fileURLToPath(new URL('../chroot/launch.ts', import.meta.url)),
      },
      note,
    }),
    cacheMounts: createCacheMounts({ root }),
    snapshotter: createCopyingSnapshotter({ root }),
  }
}
