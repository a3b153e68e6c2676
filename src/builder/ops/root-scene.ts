import type { ContainerProcess } from '../exec/executor.ts'
import { NO_LIMITS } from '../exec/limits.ts'
import type { OpContext, Result, Scene, ShellDefinition } from '../solve/vertex.ts'
import { hostLine, type RunOpDeps } from './run.ts'
import { createScene } from './scene.ts'

/** What was there before the step, for its superuser. */
export async function openRootScene(
  deps: Pick<RunOpDeps, 'openSandbox' | 'unpack'>,
  parent: Result,
  context: OpContext,
): Promise<Scene> {
  const { snapshotter, executor } = await deps.openSandbox()
  await deps.unpack(parent.layers, snapshotter, context)
  const snapshot = await snapshotter.prepare(parent.chainID, context.signal)
  return createScene({ executor, rootfs: snapshot.mounts, process: processOf, owned: snapshot })
}

const SUPERUSER = { uid: 0, gid: 0, additionalGids: [] }

function processOf({ env, cwd, hostname, network, extraHosts }: ShellDefinition): ContainerProcess {
  return {
    args: [],
    env,
    cwd,
    user: SUPERUSER,
    hostname,
    network,
    extraHosts: extraHosts.map(hostLine),
    mounts: [],
    limits: NO_LIMITS,
    isPrivileged: false,
  }
}
