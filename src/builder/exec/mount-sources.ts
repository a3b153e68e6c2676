/**
 * Prepares on this machine what a step mounts, so that the runtime has nothing to look up: what it binds is
 * `source-<n>`, a mount of ours over the very file that was found inside its root.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  writeFileSync,
} from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import { fdPath, type Linux, MS_BIND, O_PATH } from '../../linux/linux.ts'
import { BuildError } from '../errors.ts'
import { mountRoot, unmountOrDetach } from '../snapshot/mounting.ts'
import type { ContainerMount, SnapshotMount, TmpfsMount } from './executor.ts'
import { type MountPointKind, type MountPoints, openMountPoints } from './mount-points.ts'
import type { SpecMount } from './spec.ts'

/** A mount of a step whose place in the root filesystem is not known yet. */
export interface MountSource {
  readonly target: string
  readonly kind: MountPointKind
  readonly mount: Omit<SpecMount, 'destination'>
  /** Nobody keeps what is made in it: mount points may be. */
  readonly isDiscarded: boolean
}

export interface MountSources extends AsyncDisposable {
  readonly mounts: readonly MountSource[]
}

/**
 * Undone when disposed.
 * @param directory of the container, where mounts are made
 * @throws BuildError `source-missing`
 */
export async function openMountSources(
  linux: Linux,
  directory: string,
  mounts: readonly ContainerMount[],
): Promise<MountSources> {
  await using undo = new AsyncDisposableStack()
  const opened = mounts.map((mount, index) => openSource(linux, directory, index, mount, undo))
  const owned = undo.move()
  return { mounts: opened, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/**
 * Finds where the mounts go, and makes what is missing there.
 * @throws BuildError `run-failed` for a target that cannot be mounted over
 */
export function placeMounts(
  linux: Linux,
  mountPoints: MountPoints,
  sources: readonly MountSource[],
): readonly SpecMount[] {
  const placed: (SpecMount & { readonly isDiscarded: boolean })[] = []
  for (const { target, kind, mount, isDiscarded } of sources) {
    const mode = mount.type === 'tmpfs' ? TMPFS_MODE : undefined
    const destination = isOfRuntime(target) ? target : mountPoints.mountPointAt(target, kind, mode)
    refuseKernelDirectory(destination)
    // A runtime cannot make a mount point in a mount that is read-only already.
    const outer = placed.findLast(other => destination.startsWith(`${other.destination}/`))
    if (outer?.isDiscarded)
      makeMountPoint(linux, outer.source, destination.slice(outer.destination.length), kind)
    placed.push({ ...mount, destination, isDiscarded })
  }
  return placed.map(({ isDiscarded: _, ...mount }) => mount)
}

function openSource(
  linux: Linux,
  directory: string,
  index: number,
  mount: ContainerMount,
  undo: AsyncDisposableStack,
): MountSource {
  const { target } = mount
  switch (mount.kind) {
    case 'tmpfs':
      return { target, kind: 'directory', mount: tmpfsMount(mount), isDiscarded: false }
    case 'file': {
      const source = `${directory}/private/file-${index}`
      writeFileSync(source, mount.content, { mode: 0o600 })
      chownSync(source, mount.uid, mount.gid)
      chmodSync(source, mount.mode)
      const { type, options } = bindMount(source, mount)
      const run = (mount.mode & 0o111) === 0 ? ['noexec'] : []
      return {
        target,
        kind: 'file',
        mount: { type, source, options: [...options, 'nosuid', 'nodev', ...run] },
        isDiscarded: false,
      }
    }
    case 'socket': {
      const { type, source, options } = bindMount(mount.source, mount)
      return {
        target,
        kind: 'file',
        mount: { type, source, options: [...options, 'nosuid', 'nodev', 'noexec'] },
        isDiscarded: false,
      }
    }
    case 'directory':
      return { target, kind: 'directory', mount: bindMount(mount.source, mount), isDiscarded: false }
    case 'snapshot': {
      const { source, kind } = openSnapshotSource(linux, directory, index, mount, undo)
      return { target, kind, mount: bindMount(source, mount), isDiscarded: true }
    }
  }
}

/** For everyone, as `/tmp`. In place of a directory of the image it has the mode of that. */
const TMPFS_MODE = 0o1777

function tmpfsMount({ size, readOnly }: TmpfsMount): Omit<SpecMount, 'destination'> {
  const limit = size === undefined ? [] : [`size=${size}`]
  return {
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', `mode=${TMPFS_MODE.toString(8)}`, ...limit, ...(readOnly ? ['ro'] : [])],
  }
}

function bindMount(source: string, { readOnly }: ContainerMount): Omit<SpecMount, 'destination'> {
  return { type: 'bind', source, options: ['bind', readOnly ? 'ro' : 'rw'] }
}

/** Mounts the root filesystem, and what is wanted of it at a path of its own. */
function openSnapshotSource(
  linux: Linux,
  directory: string,
  index: number,
  mount: SnapshotMount,
  undo: AsyncDisposableStack,
): { readonly source: string; readonly kind: MountPointKind } {
  const root = `${directory}/mount-${index}`
  const source = `${directory}/source-${index}`
  mkdirSync(root)
  undo.use(mountRoot(linux, mount.rootfs, root))
  const found = openInside(linux, root, mount.source)
  try {
    const kind = fstatSync(found).isDirectory() ? 'directory' : 'file'
    if (kind === 'directory') mkdirSync(source)
    else writeFileSync(source, '')
    linux.mount(fdPath(found), source, 'none', MS_BIND, '')
    undo.defer(() => unmountOrDetach(linux, source))
    return { source, kind }
  } finally {
    closeSync(found)
  }
}

function openInside(linux: Linux, root: string, path: string): number {
  const descriptor = openSync(root, O_PATH | constants.O_DIRECTORY)
  try {
    return linux.openInRoot(descriptor, path, O_PATH)
  } catch (error) {
    if (!isLinuxError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) throw error
    throw new BuildError('source-missing', `Cannot mount ${JSON.stringify(path)}: it is not there`, {
      cause: error,
    })
  } finally {
    closeSync(descriptor)
  }
}

function makeMountPoint(linux: Linux, root: string, path: string, kind: MountPointKind): void {
  const descriptor = openSync(root, O_PATH | constants.O_DIRECTORY)
  try {
    openMountPoints(linux, descriptor).mountPointAt(path, kind)
  } finally {
    closeSync(descriptor)
  }
}

/** Its own `/dev` hides that of the image: there the runtime makes mount points. */
function isOfRuntime(target: string): boolean {
  return target.startsWith('/dev/')
}

/** What runtimes do there, they do by path; and who has another `/proc` can make them label processes as he likes. */
export function refuseKernelDirectory(destination: string): void {
  if (!/^\/(dev|sys|proc)$|^\/proc\//.test(destination)) return
  throw new BuildError('run-failed', `Cannot mount "${destination}": the kernel's file systems are there`)
}
