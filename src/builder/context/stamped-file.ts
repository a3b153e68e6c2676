/**
 * Reads a file of the build context that must be the one that was looked at: the same before the first byte and after
 * the last. A directory on the way may have been swapped for a symlink meanwhile, so an opened file is asked for its
 * own path before a byte of it is used.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ByteString } from '../../oci/byte-string.ts'
import { isErrno } from '../../oci/errors.ts'
import { BuildError } from '../errors.ts'
import type { FileStamp } from './remembered-files.ts'
import { quotedPath, unreadable } from './unreadable.ts'

export interface StampedFile {
  /** In the context, for errors. */
  readonly path: ByteString
  readonly absolutePath: Buffer
  /** As it was when the file was looked at. */
  readonly stamp: FileStamp
}

/** All of a small file. @throws BuildError `context-invalid` when it cannot be read, or has changed */
export function readStampedFile(file: StampedFile): Buffer {
  const opened = openStamped(file)
  try {
    const bytes = Buffer.allocUnsafe(Number(file.stamp.size))
    readFully(opened, bytes, file, 0)
    checkUnchanged(opened, file)
    return bytes
  } finally {
    closeSync(opened)
  }
}

/** A file in pieces, letting others have a turn between them. @throws BuildError `context-invalid`, as `readStampedFile` */
export async function* readStampedPieces(file: StampedFile): AsyncGenerator<Buffer> {
  const opened = openStamped(file)
  try {
    const size = Number(file.stamp.size)
    for (let offset = 0; offset < size; offset += PIECE_BYTES) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size - offset))
      readFully(opened, piece, file, offset)
      yield piece
      await nextTurn()
    }
    checkUnchanged(opened, file)
  } finally {
    closeSync(opened)
  }
}

const PIECE_BYTES = 1024 * 1024

function openStamped(file: StampedFile): number {
  // Without O_NONBLOCK a FIFO that took the file's place would hold the build for ever.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  let opened: number
  try {
    opened = openSync(file.absolutePath, flags)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR', 'ENXIO')) throw changed(file)
    throw unreadable(quotedPath(file.path), error)
  }
  try {
    checkUnchanged(opened, file)
    const itsPath = readlinkSync(`/proc/self/fd/${opened}`, { encoding: 'buffer' })
    if (!itsPath.equals(file.absolutePath)) throw changed(file)
    return opened
  } catch (error) {
    closeSync(opened)
    throw error
  }
}

function readFully(opened: number, bytes: Buffer, file: StampedFile, offset: number): void {
  for (let filled = 0; filled < bytes.length; ) {
    const count = readSync(opened, bytes, filled, bytes.length - filled, offset + filled)
    if (count === 0) throw changed(file)
    filled += count
  }
}

function checkUnchanged(opened: number, file: StampedFile): void {
  const { stamp } = file
  const now = fstatSync(opened, { bigint: true })
  const isSame = now.size === stamp.size && now.mtimeNs === stamp.mtimeNs && now.ctimeNs === stamp.ctimeNs
  if (!isSame || now.ino !== stamp.ino || now.dev !== stamp.dev) throw changed(file)
}

function changed({ path }: StampedFile): BuildError {
  return new BuildError(
    'context-invalid',
    `Cannot read ${quotedPath(path)}: it changed while the build was reading it`,
    { hint: 'build again; if something keeps writing to the build context, list it in .dockerignore' },
  )
}
