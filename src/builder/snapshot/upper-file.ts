import {
  type BigIntStats,
  closeSync,
  constants,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import type { Linux } from '../../linux/linux.ts'
import { readXattrs } from '../../linux/xattrs.ts'
import { type ByteString, byteStringFrom } from '../../oci/byte-string.ts'
import { type Digest, Digester } from '../../oci/digest.ts'
import type { TarEntry } from '../../oci/tar/entry.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import { nodeType } from '../tree/node-type.ts'
import { isLayerXattr } from './node-metadata.ts'
import { canOwn, deviceOf, ownerOf, recordsIn } from './recorded.ts'

/** A file in an upper directory, and what a layer says of it. */
export interface UpperFile {
  readonly hostPath: Buffer
  readonly stats: BigIntStats
  readonly entry: TarEntry
}

const CHUNK_BYTES = 1024 * 1024
const READ = constants.O_RDONLY | constants.O_NOFOLLOW
const SECOND = 1_000_000_000n

export function upperFile(linux: Linux, hostPath: Buffer, path: ByteString, stats: BigIntStats): UpperFile {
  const all = readXattrs(linux, hostPath)
  const xattrs = new Map([...all].filter(([name]) => isLayerXattr(name)))
  const records = recordsIn(linux, all)
  const device = deviceOf(stats, records)
  const type = device?.type ?? nodeType(stats)
  const entry: TarEntry = {
    type,
    path,
    mode: type === 'symlink' ? 0o777 : Number(stats.mode) & 0o7777,
    ...ownerOf(stats, records),
    size: type === 'file' ? Number(stats.size) : 0,
    mtime: Number((stats.mtimeNs - nanosecondsOf(stats)) / SECOND),
    ...(type === 'symlink' && { linkPath: byteStringFrom(readlinkSync(hostPath, 'buffer')) }),
    ...(device !== undefined && { deviceMajor: device.major, deviceMinor: device.minor }),
    ...(xattrs.size > 0 && { xattrs }),
  }
  return { hostPath, stats, entry }
}

/**
 * The file as it is, with the owner of the file below where it could not be given to him (`recorded.ts`) and is
 * otherwise the same.
 */
export async function withOwnerBelow(linux: Linux, file: UpperFile, lower: FileTree): Promise<UpperFile> {
  const { entry } = file
  if (linux.idMaps === undefined || (entry.type !== 'symlink' && entry.type !== 'fifo')) return file
  if (entry.uid !== 0 || entry.gid !== 0) return file
  const below = await lower.stat(entry.path)
  if (below === undefined || below.type !== entry.type || below.linkPath !== entry.linkPath) return file
  return canOwn(linux, below) ? file : { ...file, entry: { ...entry, uid: below.uid, gid: below.gid } }
}

/**
 * True when the layers below have an equal file at this path; other names that either has do not matter. Layers keep
 * whole seconds: where they say no more, files of the same second are told apart by their content, which is compared in
 * any case, and by the exact times that they have on disk. So it is no matter of how fast steps follow each other
 * whether a file that was written again as it was is in the layer.
 * @param timeBelow when the file below was last changed, in nanoseconds since the epoch, where that is known
 */
export async function isUnchanged(
  file: UpperFile,
  lower: FileTree,
  timeBelow: () => bigint | undefined,
): Promise<boolean> {
  const { entry } = file
  const below = await lower.stat(entry.path)
  if (below === undefined || !isSameMetadata(file, below)) return false
  // A copy of the file below has its time; one that was written anew in the same second has another.
  if ((timeBelow() ?? file.stats.mtimeNs) !== file.stats.mtimeNs) return false
  if (entry.type !== 'file' || entry.size === 0) return true
  return (await digestFile(file)) === (await lower.digest(entry.path))
}

/** Small files at once, large ones piece by piece: a piece may be used until the next one is asked for. */
export function readBody(file: UpperFile): Buffer | AsyncIterable<Buffer> {
  return file.entry.size <= CHUNK_BYTES
    ? readFileSync(file.hostPath, { flag: READ })
    : readPieces(file.hostPath)
}

function isSameMetadata({ entry, stats }: UpperFile, below: TreeNode): boolean {
  const nanoseconds = below.mtimeNanoseconds ?? 0
  return (
    entry.type === below.type &&
    (entry.type === 'symlink' || entry.mode === below.mode) &&
    entry.uid === below.uid &&
    entry.gid === below.gid &&
    entry.size === below.size &&
    entry.mtime === below.mtime &&
    (nanoseconds === 0 || BigInt(nanoseconds) === nanosecondsOf(stats)) &&
    entry.linkPath === below.linkPath &&
    (entry.deviceMajor ?? 0) === (below.deviceMajor ?? 0) &&
    (entry.deviceMinor ?? 0) === (below.deviceMinor ?? 0) &&
    isSameXattrs(entry.xattrs ?? new Map(), below.xattrs ?? new Map())
  )
}

type Xattrs = ReadonlyMap<string, Uint8Array>

function isSameXattrs(upper: Xattrs, below: Xattrs): boolean {
  const kept = [...below].filter(([name]) => isLayerXattr(name))
  if (kept.length !== upper.size) return false
  return kept.every(([name, value]) => {
    const other = upper.get(name)
    return other !== undefined && Buffer.compare(other, value) === 0
  })
}

/** 0 to 999,999,999, also before the epoch. */
function nanosecondsOf(stats: BigIntStats): bigint {
  return ((stats.mtimeNs % SECOND) + SECOND) % SECOND
}

async function digestFile(file: UpperFile): Promise<Digest> {
  const digester = new Digester()
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, file.entry.size))
  const descriptor = openSync(file.hostPath, READ)
  try {
    for (let length = readSync(descriptor, buffer); length > 0; length = readSync(descriptor, buffer)) {
      digester.update(buffer.subarray(0, length))
      if (length === CHUNK_BYTES) await setImmediate()
    }
  } finally {
    closeSync(descriptor)
  }
  return digester.digest()
}

async function* readPieces(path: Buffer): AsyncGenerator<Buffer> {
  await using file = await open(path, READ)
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}
