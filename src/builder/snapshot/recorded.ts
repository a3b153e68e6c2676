/**
 * What a file is, where the file system cannot hold it: in a user namespace there are no device nodes, and files belong
 * to those alone who have an id there. An attribute of the file tells it then, so that a copy of it keeps it; and a
 * layer says of the file what it is. Symlinks and pipes can have no such attribute: a layer says of one that is
 * as it was below what the layer below says (`upper-file.ts`).
 */
import type { BigIntStats } from 'node:fs'
import { deviceMajor, deviceMinor } from '../../linux/device-number.ts'
import { isMapped } from '../../linux/id-map.ts'
import type { Linux } from '../../linux/linux.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface DeviceNode {
  readonly type: 'character' | 'block'
  readonly major: number
  readonly minor: number
}

const PREFIX = 'user.slipway.'
/** `UID:GID`, while the file itself is root's. */
const OWNER = `${PREFIX}owner`
/** `character MAJOR:MINOR` or `block ...`, of an empty file. */
const DEVICE = `${PREFIX}device`

export function isRecord(name: string): boolean {
  return name.startsWith(PREFIX)
}

/** Whether a file can belong to them. */
export function canOwn({ idMaps }: Pick<Linux, 'idMaps'>, { uid, gid }: Owner): boolean {
  return idMaps === undefined || (isMapped(idMaps.uids, uid) && isMapped(idMaps.gids, gid))
}

export function recordOwner(linux: Linux, path: Buffer, { uid, gid }: Owner): void {
  linux.lsetxattr(path, OWNER, Buffer.from(`${uid}:${gid}`))
}

export function recordDevice(linux: Linux, path: Buffer, { type, major, minor }: DeviceNode): void {
  linux.lsetxattr(path, DEVICE, Buffer.from(`${type} ${major}:${minor}`))
}

/**
 * What attributes tell, as far as they are ours: the machine's root records nothing, so there a step has written them.
 * They would make a device of its file.
 */
export function recordsIn(
  { idMaps }: Pick<Linux, 'idMaps'>,
  xattrs: ReadonlyMap<string, Uint8Array>,
): ReadonlyMap<string, Uint8Array> {
  return idMaps === undefined ? NO_RECORDS : xattrs
}

const NO_RECORDS: ReadonlyMap<string, Uint8Array> = new Map()

/** As recorded, unless the file was given to somebody since. */
export function ownerOf(stats: BigIntStats, xattrs: ReadonlyMap<string, Uint8Array>): Owner {
  const own = { uid: Number(stats.uid), gid: Number(stats.gid) }
  const [, uid, gid] = /^(\d{1,10}):(\d{1,10})$/.exec(textOf(xattrs.get(OWNER))) ?? []
  return uid === undefined || own.uid !== 0 || own.gid !== 0 ? own : { uid: Number(uid), gid: Number(gid) }
}

/** Of a device node, or a file that stands for one; undefined for all others. */
export function deviceOf(
  stats: BigIntStats,
  xattrs: ReadonlyMap<string, Uint8Array>,
): DeviceNode | undefined {
  if (stats.isFile()) return recordedDevice(xattrs)
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) return undefined
  const type = stats.isBlockDevice() ? 'block' : 'character'
  return { type, major: deviceMajor(stats.rdev), minor: deviceMinor(stats.rdev) }
}

export function recordedDevice(xattrs: ReadonlyMap<string, Uint8Array>): DeviceNode | undefined {
  const [, type, major, minor] =
    /^(character|block) (\d{1,8}):(\d{1,8})$/.exec(textOf(xattrs.get(DEVICE))) ?? []
  if (type !== 'character' && type !== 'block') return undefined
  return { type, major: Number(major), minor: Number(minor) }
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? '' : Buffer.from(value).toString('latin1')
}
