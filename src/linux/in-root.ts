import { closeSync, constants, readlinkSync } from 'node:fs'
import { isLinuxError, LinuxError } from './errors.ts'
import { fdPath, type Linux, O_PATH } from './linux.ts'

/**
 * Makes what is missing at `name` in the open directory: a directory, or a symlink that is then followed. Also asked
 * where there is a file, which it may replace.
 */
export type MakeMissing = (directory: number, name: Buffer) => void

const ELOOP = 40
const NO_SYMLINK: ReadonlySet<unknown> = new Set(['EINVAL', 'ENOENT'])
const MAX_SYMLINKS = 40
const DIRECTORY = O_PATH | constants.O_DIRECTORY

/**
 * Opens the directory at a path as if `root` were `/`, making what is missing of it. Symlinks are followed, also
 * dangling ones (what they point at is then made), and never lead out.
 * @returns a descriptor that names the directory (O_PATH), for `*at` calls; the caller closes it
 * @throws LinuxError `ENOTDIR` when a component is something else, `ELOOP` for too many symlinks
 */
export function openDirectoryInRoot(linux: Linux, root: number, path: Buffer, make: MakeMissing): number {
  const whole = tryOpen(linux, root, path)
  return whole ?? walk(linux, root, components(path), make)
}

/** The path of an open directory below the open `root`: relative, clean, '' for the root itself. */
export function pathInRoot(root: number, directory: number): Buffer {
  const base = readlinkSync(fdPath(root), 'buffer')
  const full = readlinkSync(fdPath(directory), 'buffer')
  return base.length === 1 ? full.subarray(1) : full.subarray(base.length + 1)
}

function walk(linux: Linux, root: number, path: readonly Buffer[], make: MakeMissing): number {
  let parent = linux.openInRoot(root, '', DIRECTORY)
  let rest = path
  let symlinks = 0
  try {
    for (let name = rest[0]; name !== undefined; name = rest[0]) {
      rest = rest.slice(1)
      const next = step(linux, root, parent, name, make)
      if (typeof next === 'number') {
        closeSync(parent)
        parent = next
        continue
      }
      if (++symlinks > MAX_SYMLINKS) throw new LinuxError('open', ELOOP, name.toString())
      rest = [...components(next), ...rest]
      if (next[0] === 0x2f) {
        closeSync(parent)
        parent = linux.openInRoot(root, '', DIRECTORY)
      }
    }
    return parent
  } catch (error) {
    closeSync(parent)
    throw error
  }
}

/** Enters `name` in `parent`; or, when that is a symlink, returns its target. */
function step(linux: Linux, root: number, parent: number, name: Buffer, make: MakeMissing): number | Buffer {
  if (isDotDot(name)) {
    const above = pathInRoot(root, parent)
    return linux.openInRoot(root, above.subarray(0, Math.max(0, above.lastIndexOf(0x2f))), DIRECTORY)
  }
  const flags = DIRECTORY | constants.O_NOFOLLOW
  try {
    return linux.openat(parent, name, flags)
  } catch (error) {
    if (!isLinuxError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error
  }
  const target = readSymlink(parent, name)
  if (target !== undefined) return target
  make(parent, name)
  return readSymlink(parent, name) ?? linux.openat(parent, name, flags)
}

function readSymlink(directory: number, name: Buffer): Buffer | undefined {
  try {
    return readlinkSync(fdPath(directory, name), 'buffer')
  } catch (error) {
    if (error instanceof Error && 'code' in error && NO_SYMLINK.has(error.code)) return undefined
    throw error
  }
}

function tryOpen(linux: Linux, root: number, path: Buffer): number | undefined {
  try {
    return linux.openInRoot(root, path, DIRECTORY)
  } catch (error) {
    if (isLinuxError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** Without empty ones and `.`. */
function components(path: Buffer): Buffer[] {
  return path
    .toString('latin1')
    .split('/')
    .filter(name => name !== '' && name !== '.')
    .map(name => Buffer.from(name, 'latin1'))
}

function isDotDot(name: Buffer): boolean {
  return name.length === 2 && name[0] === 0x2e && name[1] === 0x2e
}
