/**
 * Runs the processes of RUN steps in containers of an OCI runtime. Each has a directory of its own:
 *
 * ```
 * run/tmp-<id>/rootfs                 where the root filesystem is mounted
 *             /private                a tmpfs, as what follows may tell secrets
 *                     /config.json    the bundle
 *                     /state  /log    what the runtime keeps, and what it complains about
 *                     /file-<n>       secrets and scripts
 *                     /hosts          mounted into the container, as is /resolv.conf
 *                     /network        its network namespace, and the pipes with which it is connected
 *             /mount-<n>  /source-<n> what the step mounts: a root filesystem, and the part of it that is wanted
 *             /runtime                which runtime it is
 *             /cgroup                 which control groups are its own
 * ```
 *
 * The directory is locked by its process: what a killed one leaves behind, the next one takes down.
 */
import { closeSync, constants, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { arch } from 'node:os'
import { isLinuxError } from '../../linux/errors.ts'
import { type Linux, loadLinux, MS_NODEV, MS_NOSUID, O_PATH } from '../../linux/linux.ts'
import { BuildError } from '../errors.ts'
import { mountRoot, unmountOrDetach } from '../snapshot/mounting.ts'
import { createOwnedDirectory, type OwnedDirectory } from '../snapshot/owned-directory.ts'
import { requireRoot } from '../snapshot/privilege.ts'
import type { Mount } from '../snapshot/snapshotter.ts'
import { removeStaleState, runDirectory } from '../snapshot/stale-state.ts'
import { runContainer } from './container.ts'
import {
  type ControlGroup,
  defaultGroupParent,
  openControlGroup,
  removeControlGroup,
} from './control-group.ts'
import type { ContainerProcess, ExecContext, Executor, Outcome } from './executor.ts'
import { type Host, readHost } from './host.ts'
import { writeHostFiles } from './host-files.ts'
import { DEFAULT_PIDS, NO_LIMITS } from './limits.ts'
import { makeRealDirectories, makeWorkingDirectory, openMountPoints } from './mount-points.ts'
import { type MountSource, openMountSources, placeMounts } from './mount-sources.ts'
import { probeProgram } from './probe-program.ts'
import { findRuntime } from './runtime.ts'
import { KERNEL_DIRECTORIES, runtimeSpec, sharesProc } from './spec.ts'
import {
  networkOfFiles,
  openConnection,
  openStepNetwork,
  type StepNetwork,
  withConnection,
} from './step-network.ts'
import { requirePossible } from './unprivileged.ts'

export interface RuntimeExecutorOptions {
  /** Of the store, absolute: containers that run have their directories below. */
  readonly stateRoot: string
  /** A name on the path, or a path; by default the first known runtime that works. */
  readonly runtime?: string
  /** Where to look for runtimes: directories separated by `:`. */
  readonly path: string
}

/** Nothing is looked for, and no privilege is needed, before the first run. */
export function createRuntimeExecutor(options: RuntimeExecutorOptions): Executor {
  const directory = runDirectory(options.stateRoot)
  let opened: ReturnType<typeof open> | undefined
  const noted = new Set<string>()

  async function open() {
    requireRoot()
    await removeStaleState(options.stateRoot)
    const linux = await loadLinux()
    const runtime = await findRuntime({
      directory,
      runtime: options.runtime,
      path: options.path,
      tryOut: candidate => probe(linux, directory, candidate),
    })
    const network = openStepNetwork(options.path, linux.idMaps === undefined)
    return { linux, runtime, network, host: readHost() }
  }

  /** Once each: every step of the build is the same in this. */
  function noteMissingWalls(
    { network: { problem }, host }: Pick<Surroundings, 'network' | 'host'>,
    process: ContainerProcess,
    context: ExecContext,
  ): void {
    const notes = [
      ...(problem !== undefined && process.network === 'default' ? [networkNote(problem)] : []),
      ...(sharesProc(host) ? [PROC_NOTE] : []),
    ]
    for (const note of notes) {
      if (noted.has(note)) continue
      noted.add(note)
      context.note?.(note)
    }
  }

  return {
    async run(process, rootfs, context) {
      opened ??= open()
      const machine = await opened
      const { linux } = machine
      context.signal.throwIfAborted()
      requirePossible(process, linux.idMaps)
      noteMissingWalls(machine, process, context)
      await using work = createOwnedDirectory(linux, directory)
      const root = `${work.path}/rootfs`
      mkdirSync(root)
      using _mounted = mountOrExplain(linux, rootfs, root)
      using _private = mountPrivate(linux, `${work.path}/private`)
      await using sources = await openMountSources(linux, work.path, process.mounts)
      return await runInRoot({ ...machine, work }, process, sources.mounts, context)
    },
  }
}

function networkNote(problem: string): string {
  return `network: that of this machine, as ${problem} ('slipway doctor' tells what mends it); --network=host asks for it, none does without`
}

const PROC_NOTE =
  'processes: a step sees those of this container, whose /proc is partly covered (docker run --security-opt systempaths=unconfined, or procMount: Unmasked, uncovers it)'

interface Surroundings {
  readonly linux: Linux
  readonly runtime: string
  readonly network: StepNetwork
  readonly host: Host
  readonly work: OwnedDirectory
}

/** Why a runtime does not work on this machine; undefined when it does. */
export async function tryRuntime(stateRoot: string, runtime: string): Promise<string | undefined> {
  return probe(await loadLinux(), runDirectory(stateRoot), runtime)
}

/** Prepares the mounted root filesystem, runs the process, and takes back what was prepared. */
async function runInRoot(
  { linux, runtime, network, host, work }: Surroundings,
  process: ContainerProcess,
  sources: readonly MountSource[],
  context: ExecContext,
): Promise<Outcome> {
  const root = `${work.path}/rootfs`
  const descriptor = openSync(root, O_PATH | constants.O_DIRECTORY)
  const mountPoints = openMountPoints(linux, descriptor)
  try {
    const { cwd, user } = process
    makeRealDirectories(linux, descriptor, KERNEL_DIRECTORIES)
    const workingDirectory = makeWorkingDirectory(linux, descriptor, cwd, user)
    using connection = openConnection(linux, network, `${work.path}/private`, process)
    const files = writeHostFiles(
      `${work.path}/private`,
      process,
      networkOfFiles(network, process, connection),
    ).map(({ path, source }) => ({ source, destination: mountPoints.mountPointAt(path, 'file') }))
    const mounts = placeMounts(linux, mountPoints, sources)
    const isNamespace = linux.idMaps !== undefined
    const parent = process.limits.cgroupParent ?? defaultGroupParent(!isNamespace)
    const group = openGroup(parent, work, process)
    const countsPids = group?.controllers.includes('pids') === true
    const limits = countsPids ? { pids: DEFAULT_PIDS, ...process.limits } : process.limits
    // In a user namespace the runtime goes without a group, unless it is told which.
    const cgroupsPath = group?.path ?? (isNamespace ? undefined : `${parent}/${work.id}`)
    const inside = { ...process, limits, cwd: workingDirectory, ...(connection && UNCONNECTED) }
    const spec = {
      ...runtimeSpec({
        root,
        process: inside,
        files,
        mounts,
        host,
        ...(cgroupsPath !== undefined && { cgroupsPath }),
      }),
      ...(connection && { hooks: connection.gate.hooks }),
    }
    const { isInteractive = false } = process
    const container = {
      runtime,
      directory: work.path,
      id: work.id,
      spec,
      isInteractive,
      endsWithUs: isNamespace,
    }
    const run = () => runContainer(container, context)
    const exitCode = await (connection === undefined
      ? run()
      : withConnection(linux, connection, context, run))
    return { exitCode, ...(group !== undefined && { usage: group.usage() }) }
  } finally {
    await removeControlGroup(`${work.path}/cgroup`)
    mountPoints.removeStubs()
    closeSync(descriptor)
  }
}

/** The runtime makes a namespace that nothing is connected to. */
const UNCONNECTED = { network: 'none' } as const

/** @throws BuildError `privilege-missing` for limits that nobody would keep */
function openGroup(
  parent: string,
  work: OwnedDirectory,
  process: ContainerProcess,
): ControlGroup | undefined {
  const group = openControlGroup(parent, work.id, `${work.path}/cgroup`)
  const { memory, cpu, pids = 0 } = process.limits
  const wanted = [
    ...(memory === undefined ? [] : ['memory']),
    ...(cpu === undefined ? [] : ['cpu']),
    ...(pids === 0 ? [] : ['pids']),
  ]
  const missing = wanted.filter(name => group?.controllers.includes(name) !== true)
  if (missing.length === 0) return group
  const problem =
    group === undefined
      ? 'no control group can be made here'
      : `control groups have no ${missing.join(', ')} controller here`
  throw new BuildError('privilege-missing', `Cannot limit memory, processors or processes: ${problem}`, {
    hint: "'slipway doctor' tells what mends it; without --memory, --cpus, --pids-limit and the like the step runs with what the machine has",
  })
}

/** A container with all of our walls and the least of programs; undefined when it ran, else why not. */
async function probe(linux: Linux, directory: string, runtime: string): Promise<string | undefined> {
  const program = probeProgram(arch())
  // A machine that we know less of: the first run will tell.
  if (program === undefined) return undefined
  await using work = createOwnedDirectory(linux, directory)
  const root = `${work.path}/rootfs`
  mkdirSync(root)
  writeFileSync(`${root}/probe`, program, { mode: 0o755 })
  const cgroupsPath = linux.idMaps === undefined ? `/slipway/${work.id}` : undefined
  const spec = runtimeSpec({
    root,
    process: PROBE,
    files: [],
    mounts: [],
    host: readHost(),
    ...(cgroupsPath !== undefined && { cgroupsPath }),
  })
  const context: ExecContext = { signal: new AbortController().signal, output: () => undefined }
  try {
    const exitCode = await runContainer({ runtime, directory: work.path, id: work.id, spec }, context)
    return exitCode === 0 ? undefined : `exit code ${exitCode}`
  } catch (error) {
    if (error instanceof BuildError && error.code === 'run-failed') return error.message
    throw error
  }
}

const PROBE: ContainerProcess = {
  args: ['/probe'],
  env: [],
  cwd: '/',
  user: { uid: 0, gid: 0, additionalGids: [] },
  hostname: 'probe',
  network: 'default',
  extraHosts: [],
  mounts: [],
  limits: NO_LIMITS,
  isPrivileged: false,
}

/** Memory that goes with the step; after a kill, with the clean-up of what was left behind. Nothing of it is on a disk. */
function mountPrivate(linux: Linux, target: string): Disposable {
  mkdirSync(target, { mode: 0o700 })
  linux.mount('tmpfs', target, 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=0700')
  return { [Symbol.dispose]: () => unmountOrDetach(linux, target) }
}

function mountOrExplain(linux: Linux, rootfs: readonly Mount[], target: string): Disposable {
  try {
    return mountRoot(linux, rootfs, target)
  } catch (error) {
    if (isLinuxError(error, 'EPERM'))
      throw new BuildError(
        'privilege-missing',
        'Cannot mount root filesystem: root here may not mount (CAP_SYS_ADMIN)',
        { cause: error, hint: 'in a container, it needs --privileged' },
      )
    if (isLinuxError(error, 'EINVAL', 'ENODEV'))
      throw new BuildError(
        'run-failed',
        `Cannot mount root filesystem: no overlay on ${target} (${error.code})`,
        {
          cause: error,
          hint: 'keep the store on a disk with ext4, xfs or btrfs (overlayfs cannot lie on overlayfs or network disks)',
        },
      )
    throw error
  }
}
