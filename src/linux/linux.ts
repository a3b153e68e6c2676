/**
 * What Node lacks of Linux, called in libc through FFI. Calls are synchronous and cost a microsecond beyond the
 * system call's own time.
 *
 * Paths are text or bytes and go to the kernel as they are. `*at` calls take a directory's file descriptor and a
 * name in it. A path below an open directory for calls without an `at` form is `fdPath(fd, name)`.
 */
import { constants } from 'node:os'
import { deviceNumber } from './device-number.ts'
import { LinuxError, LinuxMissingError } from './errors.ts'
import { type IDMaps, ownIDMaps } from './id-map.ts'
import { cString, loadLibc, type Path } from './libc.ts'

/** For the `*at` calls: names are relative to the working directory (or absolute). */
export const AT_FDCWD = -100

export const O_PATH = 0o10000000

export const MS_NOSUID = 0x2
export const MS_NODEV = 0x4
export const MS_BIND = 0x1000

export const S_IFIFO = 0o010000
export const S_IFCHR = 0o020000
export const S_IFBLK = 0o060000

/** Whole seconds since the epoch, possibly negative, and 0 to 999,999,999 nanoseconds. */
export interface FileTime {
  readonly seconds: number
  readonly nanoseconds: number
}

/** Every call throws `LinuxError` with the errno's name as its code. None follows a symlink in the last component. */
export interface Linux {
  mount(source: Path, target: Path, type: string, flags: number, data: string): void
  /** `lazy` detaches a mount that is in use: it goes when its last user does. */
  unmount(target: Path, options?: { readonly lazy?: boolean }): void
  /** The descriptor is close-on-exec and closed with `fs.closeSync`. */
  openat(directory: number, name: Path, flags: number, mode?: number): number
  /**
   * Opens a path as if `root` were `/`: absolute symlinks and `..` stay inside (openat2, RESOLVE_IN_ROOT).
   * Needs Linux 5.6.
   */
  openInRoot(root: number, path: Path, flags: number): number
  mkdirat(directory: number, name: Path, mode: number): void
  mknodat(directory: number, name: Path, mode: number, major: number, minor: number): void
  symlinkat(target: Path, directory: number, name: Path): void
  linkat(fromDirectory: number, fromName: Path, toDirectory: number, toName: Path): void
  unlinkat(directory: number, name: Path, kind: 'directory' | 'other'): void
  fchownat(directory: number, name: Path, uid: number, gid: number): void
  /** Follows a symlink, as Linux has no mode of symlinks: not for names that may be one. */
  fchmodat(directory: number, name: Path, mode: number): void
  /** Sets the time of last change, and of last access to the same. */
  utimensat(directory: number, name: Path, time: FileTime): void
  /** Names as one character per byte, sorted; empty where the file system keeps none. */
  llistxattr(path: Path): readonly string[]
  lgetxattr(path: Path, name: string): Buffer
  lsetxattr(path: Path, name: string, value: Uint8Array): void
  lremovexattr(path: Path, name: string): void
  /**
   * Locks an open file without waiting; false when another open file of the same holds a lock that excludes it.
   * @param kind `exclusive` unless told otherwise; a shared one excludes only exclusive ones
   */
  tryLock(fd: number, kind?: 'exclusive' | 'shared'): boolean
  /**
   * Sends bytes of a file to a connection that does not block: how many it took, 0 at the end of the file; undefined while
   * it takes none.
   */
  sendfile(socket: number, file: number, position: number, count: number): number | undefined
  /** False when the byte would have to be read from a disk. True where the file system does not tell. */
  isCached(file: number, position: number): boolean
  /**
   * Tells ext4 that what lies in the directories of an open directory does not belong together: it puts each new one
   * where the disk is emptiest, instead of beside the others. False where the file system knows no such thing.
   */
  spreadDirectories(directory: number): boolean
  /** The descriptor stays open in the program that this process becomes. */
  keepOnExec(fd: number): void
  /** The ids that we can give to files, in a user namespace; undefined where that is any. */
  readonly idMaps: IDMaps | undefined
}

/** A path to `name` in an open directory, for calls that take paths. Without a name: to the directory itself. */
export function fdPath(directory: number, name?: Uint8Array): Buffer {
  const prefix = `/proc/self/fd/${directory}`
  return name === undefined ? Buffer.from(prefix) : Buffer.concat([Buffer.from(`${prefix}/`), name])
}

const SYS_OPENAT2 = 437
const O_CLOEXEC = 0o2000000
const RESOLVE_NO_MAGICLINKS = 0x02
const RESOLVE_IN_ROOT = 0x10
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_REMOVEDIR = 0x200
const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8
const LOCK_SH = 1
const LOCK_EX = 2
const LOCK_NB = 4
const F_SETFD = 2
const RWF_NOWAIT = 8
const FS_IOC_GETFLAGS = 0x80086601
const FS_IOC_SETFLAGS = 0x40086602
const FS_TOPDIR_FL = 0x20000
const XATTR_MAX = 65536

/** Of flags: the file system has none, or not that one, or a container may not. */
const NOT_FOR_THIS: ReadonlySet<string> = new Set([
  'ENOTTY',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EINVAL',
  'ENOSYS',
  'EPERM',
])

/**
 * Loads the FFI library, which costs 12 ms: only for what needs it.
 * @throws LinuxMissingError
 */
export async function loadLinux(): Promise<Linux> {
  const { koffi, libc, bind } = await loadLibc()
  const mount = bind('int', 'mount', ['const void*', 'const void*', 'const void*', 'ulong', 'const void*'], 1)
  const umount2 = bind('int', 'umount2', ['const void*', 'int'], 0)
  const openat = bind('int', 'openat', ['int', 'const void*', 'int', 'uint'], 1)
  const openat2 = bind(
    'long',
    'syscall',
    ['long', 'long', 'const void*', 'const void*', 'size_t'],
    2,
    'openat2',
  )
  const mkdirat = bind('int', 'mkdirat', ['int', 'const void*', 'uint'], 1)
  const mknodat = bind('int', 'mknodat', ['int', 'const void*', 'uint', 'uint64_t'], 1)
  const symlinkat = bind('int', 'symlinkat', ['const void*', 'int', 'const void*'], 2)
  const linkat = bind('int', 'linkat', ['int', 'const void*', 'int', 'const void*', 'int'], 3)
  const unlinkat = bind('int', 'unlinkat', ['int', 'const void*', 'int'], 1)
  const fchownat = bind('int', 'fchownat', ['int', 'const void*', 'uint', 'uint', 'int'], 1)
  const fchmodat = bind('int', 'fchmodat', ['int', 'const void*', 'uint', 'int'], 1)
  const utimensat = bind('int', 'utimensat', ['int', 'const void*', 'const void*', 'int'], 1)
  const llistxattr = bind('intptr_t', 'llistxattr', ['const void*', 'void*', 'size_t'], 0)
  const lgetxattr = bind('intptr_t', 'lgetxattr', ['const void*', 'const void*', 'void*', 'size_t'], 0)
  const lsetxattr = bind(
    'int',
    'lsetxattr',
    ['const void*', 'const void*', 'const void*', 'size_t', 'int'],
    0,
  )
  const lremovexattr = bind('int', 'lremovexattr', ['const void*', 'const void*'], 0)
  const flock = bind('int', 'flock', ['int', 'int'], 0)
  const fcntl = bind('int', 'fcntl', ['int', 'int', 'int'], 0)

  // A full connection and a byte on disk are no failures, and an error would cost more than the call.
  const sendfile = libc.func('sendfile', 'intptr_t', ['int', 'int', 'void*', 'size_t'])
  const preadv2 = libc.func('preadv2', 'intptr_t', ['int', 'void*', 'int', 'int64_t', 'int'])
  const ioctl = bind('int', 'ioctl', ['int', 'ulong', 'const void*'], 0)

  const how = Buffer.alloc(24)
  const at = Buffer.alloc(8)
  // An iovec of one byte, and the byte after it: where V8 moves nothing.
  const oneByte = koffi.alloc('uint64_t', 3)
  koffi.encode(oneByte, 'uint64_t[3]', [koffi.address(oneByte) + 16n, 1n, 0n])
  const times = Buffer.alloc(32)
  const scratch = Buffer.alloc(XATTR_MAX)

  return {
    mount(source, target, type, flags, data) {
      mount(cString(source), cString(target), cString(type), flags, cString(data))
    },
    unmount(target, options) {
      umount2(cString(target), UMOUNT_NOFOLLOW | (options?.lazy ? MNT_DETACH : 0))
    },
    openat(directory, name, flags, mode = 0) {
      return openat(directory, cString(name), flags | O_CLOEXEC, mode)
    },
    openInRoot(root, path, flags) {
      how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0)
      how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), 16)
      const text = cString(path)
      for (;;) {
        try {
          return openat2(SYS_OPENAT2, root, text.length === 1 ? cString('.') : text, how, how.length)
        } catch (error) {
          // A rename somewhere on the machine during the walk: the kernel cannot tell and asks to try again.
          if (!(error instanceof LinuxError) || error.code !== 'EAGAIN') throw error
        }
      }
    },
    mkdirat(directory, name, mode) {
      mkdirat(directory, cString(name), mode)
    },
    mknodat(directory, name, mode, major, minor) {
      mknodat(directory, cString(name), mode, Number(deviceNumber(major, minor)))
    },
    symlinkat(target, directory, name) {
      symlinkat(cString(target), directory, cString(name))
    },
    linkat(fromDirectory, fromName, toDirectory, toName) {
      linkat(fromDirectory, cString(fromName), toDirectory, cString(toName), 0)
    },
    unlinkat(directory, name, kind) {
      unlinkat(directory, cString(name), kind === 'directory' ? AT_REMOVEDIR : 0)
    },
    fchownat(directory, name, uid, gid) {
      fchownat(directory, cString(name), uid, gid, AT_SYMLINK_NOFOLLOW)
    },
    fchmodat(directory, name, mode) {
      fchmodat(directory, cString(name), mode, 0)
    },
    utimensat(directory, name, time) {
      for (const offset of [0, 16]) {
        times.writeBigInt64LE(BigInt(time.seconds), offset)
        times.writeBigInt64LE(BigInt(time.nanoseconds), offset + 8)
      }
      utimensat(directory, cString(name), times, AT_SYMLINK_NOFOLLOW)
    },
    llistxattr(path) {
      const length = llistxattr(cString(path), scratch, XATTR_MAX)
      if (length === 0) return []
      return scratch
        .toString('latin1', 0, length - 1)
        .split('\0')
        .sort()
    },
    lgetxattr(path, name) {
      const length = lgetxattr(cString(path), cString(Buffer.from(name, 'latin1')), scratch, XATTR_MAX)
      return Buffer.from(scratch.subarray(0, length))
    },
    lsetxattr(path, name, value) {
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      lsetxattr(cString(path), cString(Buffer.from(name, 'latin1')), bytes, bytes.length, 0)
    },
    lremovexattr(path, name) {
      lremovexattr(cString(path), cString(Buffer.from(name, 'latin1')))
    },
    tryLock(fd, kind = 'exclusive') {
      try {
        flock(fd, LOCK_NB | (kind === 'shared' ? LOCK_SH : LOCK_EX))
        return true
      } catch (error) {
        if (error instanceof LinuxError && error.code === 'EAGAIN') return false
        throw error
      }
    },
    sendfile(socket, file, position, count) {
      at.writeBigInt64LE(BigInt(position))
      const sent: number = sendfile(socket, file, at, count)
      if (sent >= 0) return sent
      if (koffi.errno() === constants.errno.EAGAIN) return undefined
      throw new LinuxError('sendfile', koffi.errno(), `descriptor ${file}`)
    },
    isCached(file, position) {
      const got: number = preadv2(file, oneByte, 1, position, RWF_NOWAIT)
      return got >= 0 || koffi.errno() !== constants.errno.EAGAIN
    },
    spreadDirectories(directory) {
      const flags = Buffer.alloc(8)
      try {
        ioctl(directory, FS_IOC_GETFLAGS, flags)
        const before = flags.readUInt32LE()
        flags.writeUInt32LE((before | FS_TOPDIR_FL) >>> 0)
        if ((before & FS_TOPDIR_FL) === 0) ioctl(directory, FS_IOC_SETFLAGS, flags)
        return true
      } catch (error) {
        if (!(error instanceof LinuxError) || !NOT_FOR_THIS.has(error.code)) throw error
        return false
      }
    },
    keepOnExec(fd) {
      fcntl(fd, F_SETFD, 0)
    },
    idMaps: ownIDMaps(),
  }
}

/** For what works without as well: undefined where there are no such calls. */
export async function tryLoadLinux(): Promise<Linux | undefined> {
  try {
    return await loadLinux()
  } catch (error) {
    if (error instanceof LinuxMissingError) return undefined
    throw error
  }
}
