import { fchmodSync, fchownSync, futimesSync, lstatSync } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import { AT_FDCWD, type FileTime, fdPath, type Linux } from '../../linux/linux.ts'
import { readXattrs } from '../../linux/xattrs.ts'
import type { TocEntry } from '../../oci/layer/toc.ts'
import type { LowerNode } from './lower-layers.ts'
import {
  canOwn,
  type DeviceNode,
  isRecord,
  ownerOf,
  recordDevice,
  recordedDevice,
  recordOwner,
  recordsIn,
} from './recorded.ts'

/** What a new file gets beside its content. */
export interface NodeMetadata {
  /** `special`: a pipe. Neither it nor a symlink can have attributes of users. */
  readonly type: 'symlink' | 'special' | 'other'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly time: FileTime
  readonly xattrs: ReadonlyMap<string, Uint8Array>
  /** Of a device node in whose place there is an empty file. */
  readonly device?: DeviceNode
}

/** A directory that the image never says anything about: as every tool makes one, at a time that does not vary. */
export const IMPLIED_DIRECTORY: NodeMetadata = {
  type: 'other',
  mode: 0o755,
  uid: 0,
  gid: 0,
  time: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map(),
}

/**
 * Overlayfs' own attributes, and ours: from a layer they could redirect a directory into another, hide files, or make
 * them somebody else's, so they are never taken from one nor put into one. SELinux labels belong to the machine.
 */
export function isLayerXattr(name: string): boolean {
  return !/^(trusted|user)\.overlay\./.test(name) && !isRecord(name) && name !== 'security.selinux'
}

/** Sets all of it. A change of owner clears setuid bits and file capabilities, so it comes first. */
export function setMetadata(linux: Linux, directory: number, name: Buffer, metadata: NodeMetadata): void {
  const isOwn = canOwn(linux, metadata)
  linux.fchownat(directory, name, isOwn ? metadata.uid : 0, isOwn ? metadata.gid : 0)
  if (metadata.type !== 'symlink') linux.fchmodat(directory, name, metadata.mode)
  const path = directory === AT_FDCWD ? name : fdPath(directory, name)
  for (const [key, value] of metadata.xattrs) setXattr(linux, path, key, value)
  if (!isOwn && metadata.type === 'other') recordOwner(linux, path, metadata)
  if (metadata.device !== undefined) recordDevice(linux, path, metadata.device)
  linux.utimensat(directory, name, metadata.time)
}

/**
 * The same for a file that is open for writing, in three calls that look up no path; false, and nothing done, where
 * those cannot say it all: attributes, a fraction of a second, a time before 1970 (which Node takes for now).
 */
export function setOpenMetadata(linux: Pick<Linux, 'idMaps'>, file: number, metadata: NodeMetadata): boolean {
  const { mode, uid, gid, time, xattrs } = metadata
  const isPlain = xattrs.size === 0 && time.nanoseconds === 0 && time.seconds >= 0
  if (!isPlain || !canOwn(linux, metadata)) return false
  fchownSync(file, uid, gid)
  fchmodSync(file, mode)
  futimesSync(file, time.seconds, time.seconds)
  return true
}

/** Makes room for the attributes of an entry that names an existing directory anew. */
export function clearXattrs(linux: Linux, path: Buffer): void {
  for (const name of linux.llistxattr(path))
    if (isLayerXattr(name) || isRecord(name)) linux.lremovexattr(path, name)
}

/** Makes the root directory of a new snapshot look like the one below; over nothing it stays as it is. */
export function copyRootMetadata(linux: Linux, from: string | undefined, to: string): void {
  if (from === undefined) return
  const path = Buffer.from(from)
  const stats = lstatSync(path, { bigint: true })
  setMetadata(linux, AT_FDCWD, Buffer.from(to), metadataOf(linux, { path, stats }, readXattrs(linux, path)))
}

/** Of a file in a lower layer, to be copied up. */
export function metadataOf(
  linux: Pick<Linux, 'idMaps'>,
  node: LowerNode,
  xattrs: ReadonlyMap<string, Uint8Array>,
): NodeMetadata {
  const records = recordsIn(linux, xattrs)
  const device = recordedDevice(records)
  return {
    type: node.stats.isSymbolicLink() ? 'symlink' : node.stats.isFIFO() ? 'special' : 'other',
    mode: Number(node.stats.mode) & 0o7777,
    ...ownerOf(node.stats, records),
    time: fileTime(node.stats.mtimeNs),
    xattrs,
    ...(device !== undefined && { device }),
  }
}

/** What a layer says of an entry. */
export function metadataOfEntry(entry: TocEntry): NodeMetadata {
  return {
    type: entry.type === 'symlink' ? 'symlink' : entry.type === 'fifo' ? 'special' : 'other',
    mode: entry.mode & 0o7777,
    uid: entry.uid,
    gid: entry.gid,
    time: { seconds: entry.mtime, nanoseconds: entry.mtimeNanoseconds ?? 0 },
    xattrs: entry.xattrs ?? new Map(),
  }
}

/** Of an entry that is one. */
export function deviceOfEntry({ type, deviceMajor = 0, deviceMinor = 0 }: TocEntry): DeviceNode {
  return { type: type === 'block' ? 'block' : 'character', major: deviceMajor, minor: deviceMinor }
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
    if (!isLinuxError(error, ...refusals(linux, name))) throw error
  }
}

/**
 * What the kernel says where there can be no such attribute; as docker, we go on without. Where the file system keeps
 * none; `user.*` on other types of files (EPERM); and in a user namespace those that are for the machine's root alone
 * (EPERM), or name ids that are not in it (EINVAL).
 */
function refusals({ idMaps }: Linux, name: string): readonly string[] {
  if (name.startsWith('user.')) return ['ENOTSUP', 'EPERM']
  return idMaps === undefined ? ['ENOTSUP'] : ['ENOTSUP', 'EPERM', 'EINVAL']
}
