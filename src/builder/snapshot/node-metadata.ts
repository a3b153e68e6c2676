import { lstatSync } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import { AT_FDCWD, type FileTime, fdPath, type Linux } from '../../linux/linux.ts'
import { readXattrs } from '../../linux/xattrs.ts'
import type { LowerNode } from './lower-layers.ts'

/** What a new file gets beside its content. */
export interface NodeMetadata {
  readonly type: 'symlink' | 'other'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly time: FileTime
  readonly xattrs: ReadonlyMap<string, Uint8Array>
}

/**
 * Overlayfs' own attributes: from a layer they could redirect a directory into another, or hide files, so they are
 * never taken from one nor put into one. SELinux labels belong to the machine.
 */
export function isLayerXattr(name: string): boolean {
  return !name.startsWith('trusted.overlay.') && name !== 'security.selinux'
}

/** Sets all of it. A change of owner clears setuid bits and file capabilities, so it comes first. */
export function setMetadata(linux: Linux, directory: number, name: Buffer, metadata: NodeMetadata): void {
  linux.fchownat(directory, name, metadata.uid, metadata.gid)
  if (metadata.type !== 'symlink') linux.fchmodat(directory, name, metadata.mode)
  const path = directory === AT_FDCWD ? name : fdPath(directory, name)
  for (const [key, value] of metadata.xattrs) setXattr(linux, path, key, value)
  linux.utimensat(directory, name, metadata.time)
}

/** Makes room for the attributes of an entry that names an existing directory anew. */
export function clearXattrs(linux: Linux, path: Buffer): void {
  for (const name of linux.llistxattr(path)) if (isLayerXattr(name)) linux.lremovexattr(path, name)
}

/** Makes the root directory of a new snapshot look like the one below; over nothing it stays as it is. */
export function copyRootMetadata(linux: Linux, from: string | undefined, to: string): void {
  if (from === undefined) return
  const path = Buffer.from(from)
  const stats = lstatSync(path, { bigint: true })
  setMetadata(linux, AT_FDCWD, Buffer.from(to), metadataOf({ path, stats }, readXattrs(linux, path)))
}

/** Of a file in a lower layer, to be copied up. */
export function metadataOf(node: LowerNode, xattrs: ReadonlyMap<string, Uint8Array>): NodeMetadata {
  return {
    type: node.stats.isSymbolicLink() ? 'symlink' : 'other',
    mode: Number(node.stats.mode) & 0o7777,
    uid: Number(node.stats.uid),
    gid: Number(node.stats.gid),
    time: fileTime(node.stats.mtimeNs),
    xattrs,
  }
}

/** @param nanoseconds since the epoch, possibly negative */
export function fileTime(nanoseconds: bigint): FileTime {
  const fraction = ((nanoseconds % SECOND) + SECOND) % SECOND
  return { seconds: Number((nanoseconds - fraction) / SECOND), nanoseconds: Number(fraction) }
}

const SECOND = 1_000_000_000n

function setXattr(linux: Linux, path: Buffer, name: string, value: Uint8Array): void {
  if (!isLayerXattr(name)) return
  try {
    linux.lsetxattr(path, name, value)
  } catch (error) {
    // The file system keeps no such attributes, or (EPERM, `user.*`) not on this type of file: as docker, go on without.
    if (!isLinuxError(error, 'ENOTSUP') && !(isLinuxError(error, 'EPERM') && name.startsWith('user.')))
      throw error
  }
}
