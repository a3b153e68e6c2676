import { randomUUID } from 'node:crypto'
import { createWriteStream, type Stats } from 'node:fs'
import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { isErrno } from '../../oci/errors.ts'
import { BuildError } from '../errors.ts'

/** A name next to `dest` for what is not whole yet: on the same file system, and gone when it is. */
export function temporaryName(dest: string): string {
  return join(dirname(dest), `.${basename(dest)}.${randomUUID().slice(0, 8)}.tmp`)
}

/**
 * Writes a file that appears whole or not at all; what stood there before stays until then. A symlink stays, and
 * the file it points at is replaced. A device or a pipe, such as /dev/null, is written to as it is.
 * @param write may end the stream, or leave that to us
 * @throws BuildError `export-failed`
 */
export async function writeFileAtomically(
  dest: string,
  write: (to: Writable) => Promise<void>,
): Promise<void> {
  try {
    const there = await statIfThere(dest)
    if (there === undefined || there.isFile()) await replaceFile(there ? await realpath(dest) : dest, write)
    else await writeTo(createWriteStream(dest), write)
  } catch (error) {
    throw exportError(error, dest)
  }
}

async function replaceFile(dest: string, write: (to: Writable) => Promise<void>): Promise<void> {
  const temporary = temporaryName(dest)
  try {
    await writeTo(createWriteStream(temporary, { flags: 'wx' }), write)
    await syncFile(temporary)
    await rename(temporary, dest)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function writeTo(file: Writable, write: (to: Writable) => Promise<void>): Promise<void> {
  await write(file)
  if (!file.writableFinished) await finished(file.end())
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** @param options with `end: false` the stream stays open, as standard output must */
export async function writeStream(
  source: AsyncIterable<Uint8Array>,
  to: Writable,
  options: { readonly signal: AbortSignal; readonly end: boolean },
): Promise<void> {
  await pipeline(Readable.from(source, { objectMode: false }), to, options)
}

/** What the file system says, in our words. */
export function exportError(error: unknown, dest: string): unknown {
  const problems: readonly (readonly [string, string])[] = [
    ['ENOENT', 'its folder does not exist'],
    ['ENOTDIR', 'a part of the path is not a folder'],
    ['EISDIR', 'it is a folder'],
    ['EEXIST', 'it is not a folder'],
    ['EACCES', 'permission denied'],
    ['EPERM', 'not permitted'],
    ['EROFS', 'the file system is read-only'],
    ['ENOSPC', 'no space left'],
    ['EDQUOT', 'the disk quota is used up'],
    ['ENOTEMPTY', 'it is a folder that is not empty'],
  ]
  const problem = problems.find(([code]) => isErrno(error, code))
  if (problem === undefined || !(error instanceof Error) || !('syscall' in error)) return error
  return new BuildError('export-failed', `Cannot write ${dest}: ${problem[1]}`, { cause: error })
}

async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r')
  await file.sync()
}
