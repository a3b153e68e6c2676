/**
 * What a container needs in its root filesystem before it starts: its working directory, and files and directories to
 * mount over. The latter are stubs: made where they are missing, and gone again afterwards without a trace in the time
 * of their directory, with the directories on the way (semantics 64, 65). The `/proc`, `/sys` and `/dev` that runtimes
 * make stay, as BuildKit leaves them (semantics 94): images come out the same.
 */
import { closeSync, constants, lstatSync, readlinkSync } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import { type MakeMissing, openDirectoryInRoot, pathInRoot } from '../../linux/in-root.ts'
import { fdPath, type Linux } from '../../linux/linux.ts'
import { BuildError } from '../errors.ts'
import { fileTime } from '../snapshot/node-metadata.ts'

export interface MountPoints {
  /**
   * Where it really lies, symlinks resolved inside the root; made when it is missing.
   * @param mode of a directory that is made: a runtime gives it to a tmpfs there
   */
  mountPointAt(path: string, kind: MountPointKind, mode?: number): string
  /** Removes what was made, unless something has been written to it. */
  removeStubs(): void
}

export type MountPointKind = 'file' | 'directory'

interface Stub {
  readonly kind: MountPointKind
  readonly parent: number
  readonly name: Buffer
}

const MAX_SYMLINKS = 40
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

/** @param root an open directory, the mounted root filesystem */
export function openMountPoints(linux: Linux, root: number): MountPoints {
  const stubs: Stub[] = []

  function makeStub(kind: MountPointKind, parent: number, name: Buffer): void {
    const time = timeOf(parent)
    if (kind === 'directory') makeDirectory(linux, parent, name)
    else {
      closeSync(linux.openat(parent, name, NEW_FILE, 0o644))
      linux.fchmodat(parent, name, 0o644)
    }
    linux.utimensat(parent, '.', time)
    stubs.push({ kind, parent: linux.openat(parent, '.', constants.O_DIRECTORY), name })
  }

  const makeDirectoryStub: MakeMissing = (parent, name) => makeStub('directory', parent, name)

  function fileAt(path: string): string {
    let wanted: Buffer = Buffer.from(path)
    for (let symlinks = 0; symlinks <= MAX_SYMLINKS; symlinks++) {
      const slash = wanted.lastIndexOf(0x2f)
      const name = wanted.subarray(slash + 1)
      const parent = openDirectory(linux, root, wanted.subarray(0, Math.max(0, slash)), makeDirectoryStub)
      try {
        const above = pathInRoot(root, parent)
        const stats = lstatSync(fdPath(parent, name), { throwIfNoEntry: false })
        if (stats === undefined) makeStub('file', parent, name)
        if (stats?.isDirectory())
          throw new BuildError('run-failed', `Cannot mount "${path}": the image has a directory there`)
        if (stats?.isSymbolicLink() !== true) return Buffer.concat([SLASH, join(above, name)]).toString()
        const target = readlinkSync(fdPath(parent, name), 'buffer')
        wanted = target[0] === 0x2f ? target : join(above, target)
      } finally {
        closeSync(parent)
      }
    }
    throw new BuildError('run-failed', `Cannot mount "${path}": it is a symlink that leads nowhere`)
  }

  function directoryAt(path: string, mode: number | undefined): string {
    const before = stubs.length
    const directory = openDirectory(linux, root, Buffer.from(path), makeDirectoryStub)
    try {
      const made = stubs.length > before ? stubs.at(-1) : undefined
      if (made !== undefined && mode !== undefined) linux.fchmodat(made.parent, made.name, mode)
      return Buffer.concat([SLASH, pathInRoot(root, directory)]).toString()
    } finally {
      closeSync(directory)
    }
  }

  return {
    mountPointAt: (path, kind, mode) => (kind === 'file' ? fileAt(path) : directoryAt(path, mode)),
    removeStubs() {
      for (let stub = stubs.pop(); stub !== undefined; stub = stubs.pop()) {
        try {
          removeStub(linux, stub)
        } finally {
          closeSync(stub.parent)
        }
      }
    },
  }
}

/**
 * Makes the directories where the runtime mounts the kernel's file systems. A runtime would do so too, with the umask that
 * we happen to have. And it prepares `/dev` by path: through a symlink, runc 1.1 removes and makes files of the host.
 * @param paths directly below the root, absolute
 * @throws BuildError `run-failed` for an image that has something else there
 */
export function makeRealDirectories(linux: Linux, root: number, paths: readonly string[]): void {
  for (const path of paths) {
    const name = Buffer.from(path.slice(1))
    const stats = lstatSync(fdPath(root, name), { throwIfNoEntry: false })
    if (stats === undefined) makeDirectory(linux, root, name)
    if (stats === undefined || stats.isDirectory()) continue
    const kind = stats.isSymbolicLink() ? 'symlink' : 'file'
    throw new BuildError(
      'run-failed',
      `Cannot start container: "${path}" of the image must be a directory, and it is a ${kind}`,
    )
  }
}

/**
 * Makes the directory and what is missing above it, owned by the process that will work there. Where symlinks lead is
 * found here, as in the container they may lead through `/proc` to an open directory of the runtime (CVE-2024-21626).
 * @returns its path without symlinks
 * @throws BuildError `run-failed` for one below `/proc`
 */
export function makeWorkingDirectory(linux: Linux, root: number, path: string, owner: Owner): string {
  const make: MakeMissing = (parent, name) => makeDirectory(linux, parent, name, owner)
  const directory = openDirectory(linux, root, Buffer.from(path), make)
  try {
    const real = Buffer.concat([SLASH, pathInRoot(root, directory)]).toString()
    if (!real.startsWith('/proc/')) return real
  } finally {
    closeSync(directory)
  }
  throw new BuildError(
    'run-failed',
    `Cannot start container: the working directory ${JSON.stringify(path)} lies in the kernel's /proc`,
  )
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

function makeDirectory(linux: Linux, parent: number, name: Buffer, owner?: Owner): void {
  linux.mkdirat(parent, name, 0o755)
  if (owner !== undefined) linux.fchownat(parent, name, owner.uid, owner.gid)
  linux.fchmodat(parent, name, 0o755)
}

/** @throws BuildError `run-failed` when the root filesystem has something else at the path */
function openDirectory(linux: Linux, root: number, path: Buffer, make: MakeMissing): number {
  try {
    return openDirectoryInRoot(linux, root, path, make)
  } catch (error) {
    if (!isLinuxError(error, 'EEXIST', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) throw error
    throw new BuildError('run-failed', `Cannot start container: "${path}" is not a directory`, {
      cause: error,
    })
  }
}

const SLASH = Buffer.from('/')

function join(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, SLASH, name])
}

function removeStub(linux: Linux, { kind, parent, name }: Stub): void {
  const stats = lstatSync(fdPath(parent, name), { throwIfNoEntry: false })
  const isEmpty = kind === 'file' ? stats?.isFile() && stats.size === 0 : stats?.isDirectory()
  if (isEmpty !== true) return
  const time = timeOf(parent)
  try {
    linux.unlinkat(parent, name, kind === 'directory' ? 'directory' : 'other')
  } catch (error) {
    if (isLinuxError(error, 'ENOTEMPTY')) return
    throw error
  }
  linux.utimensat(parent, '.', time)
}

function timeOf(directory: number) {
  return fileTime(lstatSync(fdPath(directory, Buffer.from('.')), { bigint: true }).mtimeNs)
}
