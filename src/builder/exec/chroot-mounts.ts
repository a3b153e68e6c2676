/**
 * The mounts of a step without mount(2). Each is moved to its place in the root filesystem, and what is there meanwhile
 * aside; afterwards all moves back. So nothing is copied, and a cache keeps what a step writes to it.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { fdPath, type Linux } from '../../linux/linux.ts'
import { byteStringOf } from '../../oci/byte-string.ts'
import { BuildError } from '../errors.ts'
import { pathBelowRoot } from '../tree/walk.ts'
import { makeDevices } from './chroot-devices.ts'
import { openPlacements, place } from './chroot-placements.ts'
import type { Placement } from './chroot-plan.ts'
import type { ContainerMount, ContainerProcess } from './executor.ts'
import { writeHostFiles } from './host-files.ts'
import type { MountPointKind, MountPoints } from './mount-points.ts'
import { refuseKernelDirectory } from './mount-sources.ts'

export interface MovedMounts extends AsyncDisposable {
  readonly placements: readonly Placement[]
  /** Absolute path of a directory for what nobody keeps. */
  readonly trash: string
}

export interface MoveDeps {
  readonly linux: Linux
  /** Absolute path of the root filesystem. */
  readonly root: string
  /** Absolute path of a directory of ours, on the same file system. */
  readonly directory: string
  readonly mountPoints: MountPoints
  readonly signal: AbortSignal
}

/** The machine's own. */
const NETWORK = { hostAddress: '127.0.0.1' }

/** Disposing moves back what did not move back already. */
export async function moveMounts(process: ContainerProcess, deps: MoveDeps): Promise<MovedMounts> {
  const { linux, root, directory, mountPoints } = deps
  const placements: Placement[] = []
  await using undo = new AsyncDisposableStack()

  function move(target: string, kind: MountPointKind, source: string, end: PlacementEnd = {}): void {
    const path = mountPoints.mountPointAt(target, kind)
    const slash = path.lastIndexOf('/')
    const placement: Placement = {
      parent: `${root}${path.slice(0, slash)}`,
      name: path.slice(slash + 1),
      aside: `${directory}/aside-${placements.length}`,
      ...end,
    }
    place(linux, placement, source)
    placements.push(placement)
  }

  const trash = `${directory}/trash`

  try {
    makeDevices(linux, `${directory}/dev`)
    move('/dev', 'directory', `${directory}/dev`)
    for (const { path, source } of writeHostFiles(directory, process, NETWORK)) move(path, 'file', source)
    for (const [index, mount] of process.mounts.entries()) {
      if (!mount.target.startsWith('/dev/')) refuseKernelDirectory(mount.target)
      await moveMount(mount, `${directory}/source-${index}`, move, deps, undo)
    }
  } catch (error) {
    using placed = openPlacements(linux, placements, trash)
    placed.takeBack()
    throw error
  }
  const placed = openPlacements(linux, placements, trash)
  const owned = undo.move()
  return {
    placements,
    trash,
    async [Symbol.asyncDispose]() {
      // Others may have the directories when they are at home.
      placed.takeBack()
      placed[Symbol.dispose]()
      await owned.disposeAsync()
    },
  }
}

/** What becomes of it afterwards. */
type PlacementEnd = Pick<Placement, 'home' | 'isEmptied'>

async function moveMount(
  mount: ContainerMount,
  made: string,
  move: (target: string, kind: MountPointKind, source: string, end?: PlacementEnd) => void,
  deps: MoveDeps,
  undo: AsyncDisposableStack,
): Promise<void> {
  const { target } = mount
  switch (mount.kind) {
    case 'tmpfs':
      mkdirSync(made)
      chmodSync(made, 0o1777)
      return move(target, 'directory', made)
    case 'file':
      writeFileSync(made, mount.content, { mode: 0o600 })
      chownSync(made, mount.uid, mount.gid)
      chmodSync(made, mount.mode)
      return move(target, 'file', made, { isEmptied: true })
    case 'socket':
      await relay(mount.source, made, undo)
      return move(target, 'file', made)
    case 'directory':
      undo.use(await takeDirectory(deps.linux, mount.source, deps.signal))
      return move(target, 'directory', mount.source, { home: mount.source })
    case 'snapshot': {
      const [rootfs] = mount.rootfs
      const source = `${rootfs?.source}/${pathBelowRoot(byteStringOf(mount.source))}`.replace(/\/$/, '')
      const stats = lstatSync(source, { throwIfNoEntry: false })
      if (stats === undefined)
        throw new BuildError(
          'source-missing',
          `Cannot mount ${JSON.stringify(mount.source)}: it is not there`,
        )
      return move(target, stats.isDirectory() ? 'directory' : 'file', source)
    }
  }
}

const RETRY_MS = 50

/** A directory that others may use too: without mounts it is in one place at a time. */
async function takeDirectory(linux: Linux, path: string, signal: AbortSignal): Promise<Disposable> {
  const lock = openSync(`${path}.moved`, 'a', 0o600)
  try {
    while (!linux.tryLock(lock)) await setTimeout(RETRY_MS, undefined, { signal })
    // Whoever had it was killed with all that watched over it.
    if (statSync(path, { throwIfNoEntry: false }) === undefined) mkdirSync(path, { mode: 0o755 })
  } catch (error) {
    closeSync(lock)
    throw error
  }
  return { [Symbol.dispose]: () => closeSync(lock) }
}

/** A socket at `path` that leads to another, with its owner and mode. */
async function relay(source: string, path: string, undo: AsyncDisposableStack): Promise<void> {
  const server: Server = createServer(client => {
    const upstream = connect(source)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => to.destroy())
      from.pipe(to)
    }
    undo.defer(() => void client.destroy())
  })
  const slash = path.lastIndexOf('/')
  const parent = openSync(path.slice(0, slash), 'r')
  // The address of a socket holds 107 bytes. It is looked up again when the server closes.
  const short = fdPath(parent, Buffer.from(path.slice(slash + 1))).toString()
  undo.defer(() => closeSync(parent))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(short, resolve))
  undo.defer(() => new Promise<void>(resolve => server.close(() => resolve())))
  const { uid, gid, mode } = statSync(source)
  chownSync(path, uid, gid)
  chmodSync(path, mode & 0o777)
}
