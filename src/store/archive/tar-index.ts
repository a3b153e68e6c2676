/**
 * A tar file as a table: where each member lies, so that it can be read in any order and without unpacking
 * anything. Names stay inside the table: none of them ever reaches the file system.
 */
import { readSync } from 'node:fs'
import { type FileHandle, open as openFile } from 'node:fs/promises'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import { extract, type Header } from 'tar-stream'
import { CodedError, OciError } from '../../oci/errors.ts'
import { storeErrorFrom } from '../errors.ts'

interface TarMember {
  readonly type: string
  /** Of the body in the file, in bytes. */
  readonly offset: number
  readonly size: number
  readonly linkName: string
}

export interface TarIndex extends AsyncDisposable {
  /** The size of a regular file; undefined for anything else. Symlinks are followed inside the archive. */
  size(path: string): number | undefined
  /** The first bytes of a regular file. @throws OciError `content-missing` */
  head(path: string, bytes: number): Promise<Buffer>
  /** @throws OciError `content-missing` */
  open(path: string): Readable
  /** A small file whole. @throws OciError `content-missing`, or `layout-invalid` beyond the limit */
  read(path: string, limitBytes: number): Promise<Buffer>
}

/** What the reader of tars says, in our words. */
const PROBLEMS: ReadonlyMap<string, string> = new Map([
  ['Unexpected end of data', 'it breaks off, or is not a tar'],
])

const MAX_MEMBERS = 200_000
const MAX_LINKS = 10
const BLOCK = 512

/** @throws OciError `tar-invalid`, `layout-invalid`; StoreError when the file cannot be read; the signal's reason */
export async function openTarIndex(file: string, signal: AbortSignal): Promise<TarIndex> {
  let handle: FileHandle | undefined
  try {
    handle = await openFile(file, 'r')
    return tarIndex(handle, await scan(handle, signal))
  } catch (error) {
    await handle?.close()
    signal.throwIfAborted()
    throw error instanceof CodedError ? error : storeErrorFrom(error, `Cannot read ${file}`)
  }
}

function tarIndex(handle: FileHandle, members: ReadonlyMap<string, TarMember>): TarIndex {
  const find = (path: string): TarMember | undefined => {
    let at = cleanPath(path)
    for (let links = 0; links <= MAX_LINKS; links++) {
      const member = members.get(at)
      if (member?.type === 'symlink') at = cleanPath(posix.join(posix.dirname(at), member.linkName))
      else if (member?.type === 'link') at = cleanPath(member.linkName)
      else return member?.type === 'file' ? member : undefined
    }
    return undefined
  }
  const need = (path: string): TarMember => {
    const member = find(path)
    if (member !== undefined) return member
    throw new OciError('content-missing', `Cannot read ${JSON.stringify(path)} in archive: it is not there`)
  }
  const readRange = async (offset: number, size: number): Promise<Buffer> => {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size), position: offset })
    return buffer.subarray(0, bytesRead)
  }
  return {
    size: path => find(path)?.size,
    head: async (path, bytes) => {
      const { offset, size } = need(path)
      return readRange(offset, Math.min(bytes, size))
    },
    open: path => {
      const { offset, size } = need(path)
      return Readable.from(readChunks(handle, offset, size), { objectMode: false })
    },
    async read(path, limitBytes) {
      const { offset, size } = need(path)
      if (size <= limitBytes) return readRange(offset, size)
      throw new OciError(
        'layout-invalid',
        `Cannot read ${JSON.stringify(path)} in archive: ${size} bytes are more than ${limitBytes}`,
      )
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

async function scan(handle: FileHandle, signal: AbortSignal): Promise<ReadonlyMap<string, TarMember>> {
  const { size: fileSize } = await handle.stat()
  const table = new Table(handle.fd, fileSize)
  const extractor = extract()
  const { promise: failed, reject } = Promise.withResolvers<never>()
  extractor.on('error', ({ message }) => reject(tarInvalid(PROBLEMS.get(message) ?? message)))
  extractor.on('entry', (header, body, next) => {
    try {
      if (!table.add(header)) return extractor.destroy()
    } catch (error) {
      reject(error)
      return extractor.destroy()
    }
    body.on('end', () => next())
    body.resume()
  })
  try {
    const bytes = readChunks(handle, 0, fileSize, signal)
    await Promise.race([feed(extractor, bytes), failed])
  } finally {
    extractor.destroy()
  }
  return table.members
}

async function feed(extractor: ReturnType<typeof extract>, bytes: AsyncIterable<Buffer>): Promise<void> {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  extractor.on('close', close)
  for await (const chunk of bytes) {
    if (extractor.destroyed) return
    if (!extractor.write(chunk))
      await Promise.race([closed, new Promise<void>(resolve => extractor.once('drain', () => resolve()))])
  }
  extractor.end(undefined)
  await closed
}

const CHUNK = 1024 * 1024

/** Not a stream of node:fs: destroying one closes the handle, whatever its options say. */
async function* readChunks(
  handle: FileHandle,
  offset: number,
  size: number,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void, void> {
  for (let at = offset; at < offset + size; ) {
    signal?.throwIfAborted()
    const length = Math.min(CHUNK, offset + size - at)
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.allocUnsafe(length), position: at })
    if (bytesRead === 0) throw tarInvalid('the file got shorter while it was read')
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** Collects members, with guards against what tar-stream lets through. */
class Table {
  readonly members = new Map<string, TarMember>()
  readonly #fd: number
  readonly #fileSize: number
  readonly #block = Buffer.alloc(BLOCK)
  /** Where the next header must be. */
  #next = 0

  constructor(fd: number, fileSize: number) {
    this.#fd = fd
    this.#fileSize = fileSize
  }

  /** False when the archive ended before this entry. @throws OciError `tar-invalid` */
  add(header: Header): boolean {
    // Entries after the end mark, which other readers do not see, must not be seen here either.
    const got = readSync(this.#fd, this.#block, 0, BLOCK, this.#next)
    if (got === BLOCK && this.#block.every(byte => byte === 0)) return false
    // A directory with a size, or a size that is no number, would make tar-stream wait for ever.
    if (header.type === 'directory') header.size = 0
    const { type, name, size = 0, linkname } = header
    const offset = offsetOf(header)
    if (!Number.isSafeInteger(size) || size < 0 || offset + size > this.#fileSize)
      throw tarInvalid(`the size of ${JSON.stringify(name.slice(0, 200))} is beyond the end`)
    this.#next = offset + Math.ceil(size / BLOCK) * BLOCK
    const path = cleanPath(name)
    if (type === 'directory') return true
    if (this.members.has(path)) throw tarInvalid(`${JSON.stringify(path.slice(0, 200))} is there twice`)
    if (this.members.size >= MAX_MEMBERS) throw tarInvalid(`more than ${MAX_MEMBERS} files`)
    this.members.set(path, { type: type ?? 'unknown', offset, size, linkName: linkname ?? '' })
    return true
  }
}

/** tar-stream tells it, its types do not. */
function offsetOf(header: Header): number {
  const offset = 'byteOffset' in header ? header.byteOffset : undefined
  if (typeof offset === 'number') return offset
  throw tarInvalid('a header without a place')
}

/** Absolute names are taken from the archive's root, and no name leads out of it. */
function cleanPath(name: string): string {
  return posix.join('/', name).slice(1).replace(/\/$/, '')
}

function tarInvalid(problem: string): OciError {
  return new OciError('tar-invalid', `Cannot read archive: ${problem}`)
}
