/**
 * Runs the processes of RUN steps by chroot(2) alone (`--isolation=chroot`), for root where nothing may be mounted and no
 * namespace be made: in a container without privileges. The root filesystem is used where it lies. Each step has a
 * directory of its own:
 *
 * ```
 * run/tmp-<id>/source-<n>  /dev  /hosts ...   what is moved into the root filesystem while the step runs
 *             /aside-<n>                      what was there
 *             /trash                          what was moved, and nobody keeps
 * ```
 *
 * Two programs are between us and the step (`StepPlan`): one that watches over it, and ends all of it even when we are
 * killed, and one that becomes it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, openSync, realpathSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as setTimeoutPromise } from 'node:timers/promises'
import { type Linux, loadLinux, O_PATH } from '../../linux/linux.ts'
import { isJsonObject, parseJson } from '../../oci/json.ts'
import { BuildError } from '../errors.ts'
import { createOwnedDirectory } from '../snapshot/owned-directory.ts'
import { requireRoot } from '../snapshot/privilege.ts'
import type { Mount } from '../snapshot/snapshotter.ts'
import { removeStaleState, runDirectory } from '../snapshot/stale-state.ts'
import { capabilityNumbers } from './capabilities.ts'
import { moveMounts } from './chroot-mounts.ts'
import type { StepEnd, StepPlan } from './chroot-plan.ts'
import { forward } from './container.ts'
import { endProcessesIn } from './descendants.ts'
import type { ContainerProcess, ExecContext, Executor } from './executor.ts'
import { limitHint } from './limits.ts'
import { makeRealDirectories, makeWorkingDirectory, openMountPoints } from './mount-points.ts'
import { DEFAULT_CAPABILITIES, KERNEL_DIRECTORIES } from './spec.ts'
import { requirePossible } from './unprivileged.ts'

export interface ChrootExecutorOptions {
  /** Of the store, absolute: steps that run have their directories below. */
  readonly stateRoot: string
  /** Absolute paths: of Node.js, and of the programs that `StepPlan` tells of. */
  readonly programs: { readonly node: string; readonly watcher: string; readonly launcher: string }
  /** Is told once which walls a step lacks. */
  note(text: string): void
}

const MISSING_WALLS =
  'RUN has no wall but chroot (--isolation=chroot): it sees the processes, the network and the host name of this machine ' +
  'and may end its processes; there is no seccomp filter, no limit of memory, processes or /dev/shm, no /proc and /sys; ' +
  'read-only mounts can be written to, and secrets lie on the disk of the store while their step runs'

/** Nothing is done, and no privilege is needed, before the first run. */
export function createChrootExecutor(options: ChrootExecutorOptions): Executor {
  let opened: Promise<Linux> | undefined

  async function open(): Promise<Linux> {
    requireRoot()
    await removeStaleState(options.stateRoot)
    options.note(MISSING_WALLS)
    return loadLinux()
  }

  return {
    async run(process, rootfs, context) {
      refuse(process)
      opened ??= open()
      const linux = await opened
      context.signal.throwIfAborted()
      requirePossible(process, linux.idMaps)
      await using work = createOwnedDirectory(linux, runDirectory(options.stateRoot))
      const root = realpathSync(onlyBind(rootfs))
      const descriptor = openSync(root, O_PATH | constants.O_DIRECTORY)
      const mountPoints = openMountPoints(linux, descriptor)
      try {
        const { cwd, user, isInteractive = false } = process
        makeRealDirectories(linux, descriptor, KERNEL_DIRECTORIES)
        makeWorkingDirectory(linux, descriptor, cwd, user)
        const { signal } = context
        await using moved = await moveMounts(process, {
          linux,
          root,
          directory: work.path,
          mountPoints,
          signal,
        })
        const plan: StepPlan = {
          launcher: options.programs.launcher,
          launch: launchPlan(root, process),
          placements: moved.placements,
          trash: moved.trash,
          isInteractive,
        }
        return { exitCode: await runWatched(plan, options.programs, context) }
      } finally {
        mountPoints.removeStubs()
        closeSync(descriptor)
      }
    },
  }
}

/** @throws BuildError `privilege-missing` for what chroot alone cannot give */
function refuse(process: ContainerProcess): void {
  const problem = impossible(process)
  if (problem === undefined) return
  throw new BuildError(
    'privilege-missing',
    `${problem}: --isolation=chroot has no namespaces and no control groups`,
    {
      hint: 'it needs --isolation=oci, and so a machine or a container that may use them',
    },
  )
}

function impossible({ network, limits }: ContainerProcess): string | undefined {
  if (network === 'none') return 'Cannot run without network'
  if (limits.memory !== undefined || limits.cpu !== undefined || (limits.pids ?? 0) !== 0)
    return 'Cannot limit the memory, the processors or the processes of RUN'
  return limits.cgroupParent === undefined ? undefined : 'Cannot choose the control group of RUN'
}

function onlyBind(rootfs: readonly Mount[]): string {
  const [mount, ...others] = rootfs
  if (mount?.type !== 'bind' || others.length > 0)
    throw new Error('Cannot run by chroot: the root filesystem has to be mounted')
  return mount.source
}

function launchPlan(root: string, process: ContainerProcess): StepPlan['launch'] {
  const { args, env, cwd, user, limits, isPrivileged } = process
  return {
    root,
    args,
    env,
    cwd,
    user,
    ulimits: limits.ulimits,
    ...(!isPrivileged && { capabilities: capabilityNumbers(DEFAULT_CAPABILITIES) }),
  }
}

/**
 * @returns the exit code of the step (128 and the signal's number when a signal ended it)
 * @throws BuildError `run-failed` when it could not be started; the signal's reason when aborted
 */
async function runWatched(
  plan: StepPlan,
  { node, watcher }: ChrootExecutorOptions['programs'],
  context: ExecContext,
): Promise<number> {
  const { isInteractive } = plan
  const program = ['--disable-warning=ExperimentalWarning', watcher]
  const child: ChildProcess = spawn(node, program, {
    stdio: isInteractive ? ['inherit', 'inherit', 'inherit', 'pipe'] : ['ignore', 'pipe', 'pipe', 'pipe'],
    // In a session of its own, so that a terminal's Ctrl-C reaches us alone.
    detached: !isInteractive,
    env: {},
    cwd: '/',
  })
  for (const stream of ['stdout', 'stderr'] as const)
    forward(child[stream], chunk => context.output(stream, chunk), context.signal)
  const channel = child.stdio[3] as Socket
  let end = ''
  channel.setEncoding('utf8').on('data', text => {
    end += text
  })
  // It is closed without a word when the watcher is killed.
  channel.on('error', () => undefined)
  const closed = new Promise<void>((resolve, reject) => {
    child.once('close', () => resolve())
    child.once('error', cause => reject(cannotStart(cause.message, cause)))
    child.once('exit', code => {
      if (code !== 0) endUnwatched(child, plan.launch.root).catch(reject)
    })
  })
  let patience: NodeJS.Timeout | undefined
  const kill = () => {
    channel.end()
    channel.destroySoon()
    // The step may have stopped it.
    child.kill('SIGCONT')
    patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
    child.stdout?.resume()
    child.stderr?.resume()
  }
  context.signal.addEventListener('abort', kill)
  try {
    channel.write(`${JSON.stringify(plan)}\n`)
    if (context.signal.aborted) kill()
    await closed
    context.signal.throwIfAborted()
    const result = readEnd(end)
    if ('exitCode' in result) return result.exitCode
    throw cannotStart(result.problem)
  } finally {
    context.signal.removeEventListener('abort', kill)
    clearTimeout(patience)
  }
}

/** How long who watches over a step may take to end it. */
const PATIENCE_MS = 30_000
/** How long what a step printed may take to arrive once no process of it is left. */
const LAST_OUTPUT_MS = 1000

/** A step may end who watches over it, and would go on with our pipes in its hands, and its mounts in their places. */
async function endUnwatched({ stdout, stderr }: ChildProcess, root: string): Promise<void> {
  await endProcessesIn(root)
  await setTimeoutPromise(LAST_OUTPUT_MS)
  stdout?.destroy()
  stderr?.destroy()
}

function readEnd(line: string): StepEnd {
  const end = line === '' ? undefined : parseJson(Buffer.from(line))
  if (isJsonObject(end) && typeof end.exitCode === 'number') return { exitCode: end.exitCode }
  if (isJsonObject(end) && typeof end.problem === 'string') return { problem: end.problem }
  return { problem: 'what watched over it was killed' }
}

function cannotStart(problem: string, cause?: unknown): BuildError {
  return new BuildError('run-failed', `Cannot start step: ${problem}`, { cause, ...limitHint(problem) })
}
