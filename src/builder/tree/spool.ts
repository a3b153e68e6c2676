import { randomUUID } from 'node:crypto'
import { readSync } from 'node:fs'
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'

/** Bytes that wait in a spool. */
export interface Spooled {
  readonly offset: number
  readonly size: number
}

const WHOLE_BYTES = 1024 * 1024
const WRITE_BYTES = 1024 * 1024

/** A nameless file on disk to which contents are appended and read back; it is gone with the process. */
export class Spool implements AsyncDisposable {
  readonly #directory: string
  #file: Promise<FileHandle> | undefined
  #end = 0
  /** What is not written yet is its beginning: a copy, as chunks may be small parts of what they came in. */
  #pending: Buffer | undefined
  #pendingBytes = 0
  #written: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(directory: string) {
    this.#directory = directory
  }

  /** One append at a time. */
  async append(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Spooled> {
    this.#checkOpen()
    const offset = this.#end
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; ) {
        at += this.#take(chunk.subarray(at))
        if (this.#pendingBytes === WRITE_BYTES) await this.#flush()
      }
    }
    return { offset, size: this.#end - offset }
  }

  /** A stream where the bytes are many. */
  async read({ offset, size }: Spooled): Promise<Buffer | Readable> {
    this.#checkOpen()
    if (size === 0) return Buffer.alloc(0)
    await this.#flush()
    const file = await this.#open()
    if (size > WHOLE_BYTES) return Readable.from(this.#chunks(file.fd, offset, size), { objectMode: false })
    return readWhole(file.fd, offset, size)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const file = await this.#file
    await file?.close()
  }

  *#chunks(fd: number, offset: number, size: number): Generator<Buffer, void, undefined> {
    for (let done = 0; done < size; done += WHOLE_BYTES) {
      this.#checkOpen()
      yield readWhole(fd, offset + done, Math.min(WHOLE_BYTES, size - done))
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Error('Cannot use spool: it is closed')
  }

  /** As much of a chunk as there is room for; returns how many bytes that is. */
  #take(chunk: Uint8Array): number {
    this.#pending ??= Buffer.allocUnsafe(WRITE_BYTES)
    const taken = chunk.subarray(0, WRITE_BYTES - this.#pendingBytes)
    this.#pending.set(taken, this.#pendingBytes)
    this.#pendingBytes += taken.length
    this.#end += taken.length
    return taken.length
  }

  /** All that was appended is on the disk then, whoever has begun to write it. */
  #flush(): Promise<void> {
    const bytes = this.#pending?.subarray(0, this.#pendingBytes)
    if (bytes === undefined) return this.#written
    this.#pending = undefined
    this.#pendingBytes = 0
    const start = this.#end - bytes.length
    this.#written = this.#written.then(() => this.#write(bytes, start))
    return this.#written
  }

  async #write(bytes: Buffer, start: number): Promise<void> {
    const file = await this.#open()
    for (let written = 0; written < bytes.length; ) {
      const { bytesWritten } = await file.write(bytes, written, bytes.length - written, start + written)
      written += bytesWritten
    }
  }

  #open(): Promise<FileHandle> {
    this.#file ??= openNameless(this.#directory)
    return this.#file
  }
}

async function openNameless(directory: string): Promise<FileHandle> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const name = join(directory, `spool-${randomUUID()}`)
  const file = await open(name, 'wx+', 0o600)
  await unlink(name)
  return file
}

function readWhole(fd: number, offset: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  for (let filled = 0; filled < size; ) {
    // Synchronous: what was just written is in memory, and a promise costs ten times the read.
    const count = readSync(fd, bytes, filled, size - filled, offset + filled)
    if (count === 0) throw new Error(`Cannot read spool: it ends at ${offset + filled}`)
    filled += count
  }
  return bytes
}
