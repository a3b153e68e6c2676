/**
 * The calls by which the store changes the disk, as one small interface, so that a test can make the Nth of them
 * fail or be the last one before a crash. Reading content does not go through it.
 *
 * Those that end in `Sync` are short and run inside a database transaction, where nothing may be awaited.
 */
import { chmodSync, closeSync, constants, fsyncSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { type FileHandle, open, unlink, writeFile } from 'node:fs/promises'
import { isErrno } from '../oci/errors.ts'
import { syncFile } from './sync-file.ts'

export interface StoreFiles {
  /** Creates the file (it must not exist), for its owner alone. */
  create(path: string): Promise<StoreFile>
  /** For reading and writing; the file must exist. */
  open(path: string): Promise<StoreFile>
  /** Replaces a small file that may be lost: neither atomic nor durable. */
  write(path: string, content: string): Promise<void>
  /** A file that is not there is no error. */
  unlink(path: string): Promise<void>
  renameSync(from: string, to: string): void
  setModeSync(path: string, mode: number): void
  /** A folder that is already there is no error. */
  makeFolderSync(path: string): void
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>
  syncFolderSync(path: string): void
}

export interface StoreFile {
  /** Writes all the chunks at a position, however many calls it takes. */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>
  /** Cuts the file off, and gives the space back. */
  truncate(size: number): Promise<void>
  /** Fewer bytes than the buffer holds only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>
  size(): Promise<number>
  /** Makes the bytes durable. */
  sync(): Promise<void>
  /** Safe to call twice. */
  close(): Promise<void>
}

export const nodeStoreFiles: StoreFiles = {
  create: async path => storeFile(await open(path, 'wx+', 0o600)),
  open: async path => storeFile(await open(path, 'r+')),
  write: (path, content) => writeFile(path, content, { mode: 0o600 }),
  async unlink(path) {
    try {
      await unlink(path)
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  },
  renameSync,
  setModeSync: chmodSync,
  makeFolderSync(path) {
    try {
      mkdirSync(path, 0o700)
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
    }
  },
  syncFolder: syncFile,
  syncFolderSync(path) {
    const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  },
}

function storeFile(handle: FileHandle): StoreFile {
  let closing: Promise<void> | undefined
  return {
    write: (chunks, position) => writeAll(handle, chunks, position),
    truncate: size => handle.truncate(size),
    async read(buffer, position) {
      let filled = 0
      while (filled < buffer.length) {
        const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return filled
    },
    size: async () => (await handle.stat()).size,
    sync: () => handle.sync(),
    close() {
      closing ??= handle.close()
      return closing
    },
  }
}

/** The kernel may take less than it was given, most of all when the disk is nearly full. */
async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let rest = [...chunks]
  let at = position
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at)
    at += bytesWritten
    rest = dropBytes(rest, bytesWritten)
  }
}

function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count
  const rest: Uint8Array[] = []
  for (const chunk of chunks) {
    if (left < chunk.length) rest.push(left === 0 ? chunk : chunk.subarray(left))
    left = Math.max(0, left - chunk.length)
  }
  return rest
}
