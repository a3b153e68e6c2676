/**
 * What a container needs in its root filesystem before it starts: its working directory, and files to mount its
 * `resolv.conf` and `hosts` over. The latter are stubs: made where they are missing, and gone again afterwards with the
 * directories made for them, without a trace in the times of their parents.
 */
import { closeSync, constants, lstatSync, readlinkSync } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import { openDirectoryInRoot, pathInRoot } from '../../linux/in-root.ts'
import { fdPath, type Linux } from '../../linux/linux.ts'
import { BuildError } from '../errors.ts'
import { fileTime } from '../snapshot/node-metadata.ts'

export interface MountPoints {
  /** Where the file at the path really lies, symlinks resolved inside the root; made when it is missing. */
  fileAt(path: string): string
  /** Removes what was made, unless something has been written to it. */
  removeStubs(): void
}

interface Stub {
  readonly parent: number
  readonly name: Buffer
  readonly kind: 'directory' | 'other'
}

const MAX_SYMLINKS = 40
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

/** @param root an open directory, the mounted root filesystem */
export function openMountPoints(linux: Linux, root: number): MountPoints {
  const stubs: Stub[] = []

  /** Makes a stub and leaves the time of the directory that it is in as it was. */
  function makeStub(parent: number, name: Buffer, kind: Stub['kind']): void {
    const time = timeOf(parent)
    if (kind === 'directory') linux.mkdirat(parent, name, 0o755)
    else closeSync(linux.openat(parent, name, NEW_FILE, 0o644))
    linux.fchmodat(parent, name, kind === 'directory' ? 0o755 : 0o644)
    linux.utimensat(parent, '.', time)
    stubs.push({ parent: linux.openat(parent, '.', constants.O_DIRECTORY), name, kind })
  }

  return {
    fileAt(path) {
      let wanted: Buffer = Buffer.from(path)
      for (let symlinks = 0; symlinks <= MAX_SYMLINKS; symlinks++) {
        const slash = wanted.lastIndexOf(0x2f)
        const name = wanted.subarray(slash + 1)
        const parent = openDirectoryInRoot(
          linux,
          root,
          wanted.subarray(0, Math.max(0, slash)),
          (directory, missing) => makeStub(directory, missing, 'directory'),
        )
        try {
          const above = pathInRoot(root, parent)
          const stats = lstatSync(fdPath(parent, name), { throwIfNoEntry: false })
          if (stats === undefined) makeStub(parent, name, 'other')
          if (stats?.isSymbolicLink() !== true) return Buffer.concat([SLASH, join(above, name)]).toString()
          const target = readlinkSync(fdPath(parent, name), 'buffer')
          wanted = target[0] === 0x2f ? target : join(above, target)
        } finally {
          closeSync(parent)
        }
      }
      throw new BuildError('run-failed', `Cannot mount "${path}": it is a symlink that leads nowhere`)
    },

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

/** Makes the directory and what is missing above it, owned by the process that will work there. */
export function makeWorkingDirectory(
  linux: Linux,
  root: number,
  path: string,
  owner: { readonly uid: number; readonly gid: number },
): void {
  const directory = openDirectoryInRoot(linux, root, Buffer.from(path), (parent, name) => {
    linux.mkdirat(parent, name, 0o755)
    linux.fchownat(parent, name, owner.uid, owner.gid)
    linux.fchmodat(parent, name, 0o755)
  })
  closeSync(directory)
}

const SLASH = Buffer.from('/')

function join(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, SLASH, name])
}

function removeStub(linux: Linux, { parent, name, kind }: Stub): void {
  const stats = lstatSync(fdPath(parent, name), { throwIfNoEntry: false })
  if (stats === undefined || (kind === 'other' && (!stats.isFile() || stats.size > 0))) return
  const time = timeOf(parent)
  try {
    linux.unlinkat(parent, name, kind)
  } catch (error) {
    // The step put something in, or made another kind of file of it: then it is the step's.
    if (isLinuxError(error, 'ENOTEMPTY', 'ENOTDIR')) return
    throw error
  }
  linux.utimensat(parent, '.', time)
}

function timeOf(directory: number) {
  return fileTime(lstatSync(fdPath(directory, Buffer.from('.')), { bigint: true }).mtimeNs)
}
