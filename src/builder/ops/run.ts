import { extendChain } from '../../oci/identity.ts'
import type { Compression } from '../../oci/media-type.ts'
import { writeTar } from '../../oci/tar/writer.ts'
import type { Layers } from '../../store/layers.ts'
import type { ImportedMounts } from '../cache/imported-mounts.ts'
import type { ContainerProcess, Executor } from '../exec/executor.ts'
import { outOfMemoryKills } from '../exec/exit-code.ts'
import type { ContainerLimits, StepLimits } from '../exec/limits.ts'
import type { DnsSettings } from '../exec/resolver.ts'
import type { SshAgents } from '../fetch/ssh-agents.ts'
import type { StepLog } from '../logs/build-logs.ts'
import type { RunDefinition } from '../plan/op-definition.ts'
import type { CacheMounts } from '../snapshot/cache-mounts.ts'
import type { Snapshotter } from '../snapshot/snapshotter.ts'
import { type CacheKey, type LayerOp, type Result, rootKey } from '../solve/vertex.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import { createCacheKey } from './cache-key.ts'
import type { ContextTree } from './context-mount.ts'
import { createOutputTail } from './output-tail.ts'
import { runFailed, scriptTitle } from './run-failure.ts'
import { mountParts, type OpenMounts, openMounts, usedCacheMounts } from './run-mounts.ts'
import { runWithin } from './run-within.ts'
import { createScene } from './scene.ts'
import { storeLayer } from './store-layer.ts'
import type { Unpack } from './unpack-layers.ts'
import { resolveUser } from './users.ts'

/** What RUN needs. */
export interface Sandbox {
  readonly executor: Executor
  readonly snapshotter: Snapshotter
  readonly cacheMounts: CacheMounts
}

export interface RunOpDeps {
  readonly layers: Layers
  readonly compression: Compression
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
  /** A build context: one of `--build-context`, or the main one. */
  contextTree(name: string | undefined): ContextTree
  openSandbox(): Promise<Sandbox>
  readonly limits: StepLimits
  readonly dns?: DnsSettings
  readonly unpack: Unpack
  /** @throws BuildError `platform-unsupported` where this machine cannot run programs for the platform */
  requirePlatform(platform: string): Promise<void>
  /** Undefined for a secret that nobody gave. */
  readSecret(id: string): Promise<Uint8Array | undefined>
  /** For all that a step prints. @param title of its command */
  openLog(title: string): Promise<StepLog>
  readonly ssh: Pick<SshAgents, 'serve'>
  readonly importedMounts: Pick<ImportedMounts, 'contentOf'>
}

/** RUN: a process over the root filesystem; what it wrote becomes one layer. */
export function createRunOp(definition: RunDefinition, deps: RunOpDeps): LayerOp {
  return {
    kind: 'layer',
    async cacheKey(inputs, context) {
      const mounts = await mountParts(definition.mounts, inputs, deps, context.signal)
      return runKey(definition, rootKey(inputs[0]), [...limitParts(deps.limits), ...mounts])
    },
    prepare: () => deps.requirePlatform(definition.platform),
    cacheMounts: inputs => usedCacheMounts(definition.mounts, inputs),
    async exec(inputs, context) {
      const [parent = EMPTY] = inputs
      const { snapshotter, executor, cacheMounts } = await deps.openSandbox()
      await deps.unpack(parent.layers, snapshotter, context)
      await using owned = new AsyncDisposableStack()
      await using tree = await deps.openTree(parent, context.signal)
      const { uid, gid, additionalGids } = await resolveUser(tree, definition.user)
      const snapshot = owned.use(await snapshotter.prepare(parent.chainID, context.signal))
      const mountDeps = { ...deps, snapshotter, cacheMounts }
      const mounts = owned.use(await openMounts(definition.mounts, inputs, mountDeps, context))
      using log = await deps.openLog(scriptTitle(definition) ?? definition.args.at(-1) ?? '')
      const tail = createOutputTail()
      const killsBefore = outOfMemoryKills()
      const { limits } = deps
      const { directory } = snapshot
      const process = processOf(definition, deps, mounts, { uid, gid, additionalGids })
      const outcome = await runWithin({ definition, limits, directory, signal: context.signal }, signal =>
        executor.run(process, snapshot.mounts, {
          signal,
          note: text => context.status(text),
          output(stream, chunk) {
            tail.add(chunk)
            log.write(chunk)
            return context.output(stream, chunk)
          },
        }),
      )
      if (outcome.exitCode !== 0) {
        const kills = outOfMemoryKills() - killsBefore
        const ending = { outcome, output: tail.lines(), log: log.path, outOfMemoryKills: kills }
        const error = await runFailed({ definition, limits, directory, ...ending })
        context.keep?.(
          createScene({ executor, rootfs: snapshot.mounts, process: () => process, owned: owned.move() }),
        )
        throw error
      }
      const changes = snapshot.changes(tree, context.signal)
      const layer = await storeLayer(writeTar(changes), deps, context)
      await snapshot.commit(extendChain(parent.chainID, layer.diffID))
      return layer
    },
  }
}

function processOf(
  definition: RunDefinition,
  { limits, dns }: Pick<RunOpDeps, 'limits' | 'dns'>,
  mounts: Pick<OpenMounts, 'env' | 'mounts'>,
  user: ContainerProcess['user'],
): ContainerProcess {
  const { args, env, proxyEnv, cwd, hostname, network, extraHosts, isPrivileged = false } = definition
  return {
    args,
    env: [...env, ...proxyEnv, ...mounts.env],
    cwd,
    user,
    hostname,
    network,
    extraHosts: extraHosts.map(hostLine),
    mounts: mounts.mounts,
    ...(dns !== undefined && { dns }),
    limits,
    isPrivileged,
  }
}

const EMPTY: Result = { chainID: undefined, layers: [] }

/**
 * Semantics 100. The user's name is looked up in the root filesystem, which is in the key as a whole. Addresses of
 * extra hosts and proxies are not: they say where things are, not what they are (semantics 64, 107).
 */
function runKey(definition: RunDefinition, parent: string, mounts: CacheKey['parts']): CacheKey {
  const { args, env, cwd, user, hostname, network, extraHosts, platform, isPrivileged } = definition
  return createCacheKey('run', [
    ['parent', parent],
    ...args.map(arg => ['argument', arg] as const),
    ...env.toSorted().map(variable => ['variable', variable] as const),
    ['working directory', cwd],
    ['user', user],
    ['host name', hostname],
    ['network', network],
    ...extraHosts.map(host => ['extra host', host.slice(0, host.indexOf(':'))] as const),
    ['platform', platform],
    ...(isPrivileged === true ? [['security', 'insecure'] as const] : []),
    ...mounts,
  ])
}

/** Those that a program may tell by what it can do. How much time and memory it has is not what the step is. */
export function limitParts({ shmSize, ulimits }: ContainerLimits): CacheKey['parts'] {
  return [
    ...(shmSize === undefined ? [] : [['size of /dev/shm', String(shmSize)] as const]),
    ...ulimits.map(
      ({ name, soft = 'none', hard = 'none' }) => ['ulimit', `${name}=${soft}:${hard}`] as const,
    ),
  ]
}

/** `name:address`, where the address may be IPv6, as a line of /etc/hosts. */
export function hostLine(host: string): string {
  const at = host.indexOf(':')
  return `${host.slice(at + 1)}\t${host.slice(0, at)}`
}
