/**
 * Writes under way: `ingest/<id>` holds the bytes, `<id>.state` what is needed to go on hashing them.
 *
 * ```
 * begin ── append ─ append ─ commit ──> content            one handle, one process
 *            └ dispose   └ resume ─ append ...             another handle, perhaps another process
 * ```
 * A handle takes the ingest's lock when it begins it or first writes, and frees it when it is closed: looking at the
 * offset of an upload needs no lock, and garbage collection leaves alone what is locked. Bytes are verified by the
 * hash that runs along while they are written; `ingest-hashes.ts` says how it survives. Nothing here is durable
 * before the commit.
 */
import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { BlobInfo, ChunkSource, Ingest, IngestID } from '../oci/content.ts'
import { type Digest, type DigestAlgorithm, digestAlgorithm } from '../oci/digest.ts'
import { isErrno, OciError } from '../oci/errors.ts'
import { BatchWriter } from './batch-writer.ts'
import type { BufferPool } from './buffer-pool.ts'
import { eachChunk } from './each-chunk.ts'
import { StoreError, storeErrorFrom } from './errors.ts'
import type { IngestHashes } from './ingest-hashes.ts'
import type { IngestLocks } from './ingest-locks.ts'
import { type PublishDeps, publish } from './publish.ts'
import { nativeHash, type RunningHash } from './running-hash.ts'
import type { StoreFile } from './store-files.ts'
import { isIngestID } from './store-layout.ts'
import { writeIfPossible } from './touch.ts'

export interface IngestDeps extends PublishDeps {
  readonly hashes: IngestHashes
  readonly locks: IngestLocks
  /** For bytes on their way to the disk. */
  readonly buffers: BufferPool
}

/** An ingest that can tell the digest of its bytes, for content whose digest nobody knows beforehand. */
export interface DiskIngest extends Ingest {
  /** SHA-256 of all bytes so far. */
  digest(): Promise<Digest>
  /** To read what is written, whatever becomes of the ingest. The caller closes it. */
  openFile(): Promise<StoreFile>
}

export async function beginIngest(
  deps: IngestDeps,
  algorithm: DigestAlgorithm = 'sha256',
): Promise<DiskIngest> {
  const id = randomUUID() as string as IngestID
  const ingest = new FileIngest(deps, id, 0)
  await named(id, () => ingest.create(algorithm))
  return ingest
}

/** @throws StoreError `ingest-unknown` */
export async function resumeIngest(deps: IngestDeps, id: IngestID): Promise<DiskIngest> {
  if (!isIngestID(id)) throw unknownIngest(id)
  const { size } = await named(id, () => stat(deps.layout.ingest(id)))
  return new FileIngest(deps, id, size)
}

class FileIngest implements DiskIngest {
  readonly id: IngestID
  readonly #deps: IngestDeps
  #offset: number
  #file: StoreFile | undefined
  /** Of the bytes up to the offset; undefined when not known here and now. */
  #hash: RunningHash | undefined
  #state: 'idle' | 'locked' | 'appending' | 'ended' = 'idle'
  #hasLock = false

  constructor(deps: IngestDeps, id: IngestID, offset: number) {
    this.#deps = deps
    this.id = id
    this.#offset = offset
  }

  /** Makes the file. Locked before it is there, so that garbage collection never sees it without its owner. */
  async create(algorithm: DigestAlgorithm): Promise<void> {
    this.#takeLock()
    // SHA-256 is what is taken for granted, and costs no file to say so.
    if (algorithm !== 'sha256') this.#hash = nativeHash(algorithm)
    try {
      this.#file = await this.#deps.files.create(this.#deps.layout.ingest(this.id))
    } catch (error) {
      await this.#close()
      throw error
    }
  }

  get offset(): number {
    return this.#offset
  }

  async append(source: ChunkSource, signal: AbortSignal, algorithm?: DigestAlgorithm): Promise<number> {
    const file = await named(this.id, () => this.#lock())
    this.#state = 'appending'
    try {
      this.#hash ??= await named(this.id, () =>
        this.#deps.hashes.forAppend(this.id, file, this.#offset, signal, algorithm),
      )
      await this.#write(file, this.#hash, source, signal)
    } finally {
      // An abort of the same handle may have ended it meanwhile.
      if (this.#state === 'appending') this.#state = 'locked'
    }
    return this.#offset
  }

  digest(): Promise<Digest> {
    return named(this.id, async () => this.#digestOf(await this.#lock(), 'sha256'))
  }

  openFile(): Promise<StoreFile> {
    return named(this.id, () => this.#deps.files.open(this.#deps.layout.ingest(this.id)))
  }

  commit(expected: { readonly digest: Digest; readonly size?: number }): Promise<BlobInfo> {
    return named(this.id, async () => {
      const file = await this.#lock()
      const blob = { digest: expected.digest, size: this.#offset }
      if (expected.size !== undefined && expected.size !== blob.size)
        throw mismatch('size-mismatch', `want ${expected.size} bytes, got ${blob.size}`)
      const got = await this.#digestOf(file, digestAlgorithm(expected.digest))
      if (got !== expected.digest) throw mismatch('digest-mismatch', `want ${expected.digest}, got ${got}`)
      await publish(this.#deps, { id: this.id, file }, blob)
      await this.#tidy()
      return blob
    })
  }

  abort(): Promise<void> {
    return named(this.id, async () => {
      if (this.#state === 'ended') return
      const { database, files, layout } = this.#deps
      await files.unlink(layout.ingest(this.id))
      // The file's space is free once it is closed, and the database may be in want of it.
      await this.#end()
      writeIfPossible(database, () => database.run('DELETE FROM uploads WHERE id = ?', this.id))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'ended') return
    await named(this.id, async () => {
      try {
        if (this.#hash !== undefined && this.#hash.offset === this.#offset)
          await this.#deps.hashes.keep(this.id, this.#hash)
      } finally {
        await this.#close()
      }
    })
  }

  /** Makes this handle the only writer. */
  async #lock(): Promise<StoreFile> {
    if (this.#state === 'ended') throw unknownIngest(this.id)
    if (this.#state === 'appending') throw busyIngest(this.id, 'it is being written to')
    if (this.#state === 'idle') this.#takeLock()
    this.#file ??= await this.#deps.files.open(this.#deps.layout.ingest(this.id))
    const size = await this.#file.size()
    if (size === this.#offset) return this.#file
    throw busyIngest(this.id, `it has grown from ${this.#offset} to ${size} bytes meanwhile`)
  }

  #takeLock(): void {
    if (!this.#deps.locks.take(this.id))
      throw busyIngest(this.id, 'another request or process is writing to it')
    this.#state = 'locked'
    this.#hasLock = true
  }

  async #write(file: StoreFile, hash: RunningHash, source: ChunkSource, signal: AbortSignal): Promise<void> {
    const { id } = this
    signal.throwIfAborted()
    const start = this.#offset
    const writer = new BatchWriter(
      {
        write: (chunk, position) => hashAndWrite(id, file, hash, chunk, position),
        sync: () => named(id, () => file.sync()),
      },
      start,
      this.#deps.buffers,
    )
    try {
      await eachChunk(source, signal, chunk => {
        this.#offset += chunk.length
        return writer.add(chunk)
      })
    } finally {
      await this.#settle(file, writer, start)
    }
  }

  /**
   * After a failed write the hash is ahead of the file. What this append brought is given up: half a layer must not
   * keep a full disk full. What counts is what the file then holds.
   */
  async #settle(file: StoreFile, writer: BatchWriter, start: number): Promise<void> {
    try {
      await writer.finish()
    } finally {
      if (writer.failed) {
        this.#hash = undefined
        await file.truncate(start).finally(async () => {
          this.#offset = await file.size()
        })
      }
    }
  }

  /** The hash that ran along knows; for another algorithm the file is read once more. */
  async #digestOf(file: StoreFile, algorithm: DigestAlgorithm): Promise<Digest> {
    if (this.#hash?.algorithm === algorithm) return this.#hash.digest()
    return this.#deps.hashes.digest(this.id, file, this.#offset, algorithm)
  }

  /** The content is there: what a failing disk leaves behind now is garbage, and no reason to tell of a failure. */
  async #tidy(): Promise<void> {
    try {
      await this.#end()
    } catch (error) {
      if (!(storeErrorFrom(error, 'Cannot tidy up') instanceof StoreError)) throw error
    }
  }

  async #end(): Promise<void> {
    this.#state = 'ended'
    try {
      await this.#deps.hashes.forget(this.id)
    } finally {
      await this.#close()
    }
  }

  async #close(): Promise<void> {
    this.#state = 'ended'
    try {
      await this.#file?.close()
    } finally {
      if (this.#hasLock) this.#deps.locks.free(this.id)
      this.#hasLock = false
    }
  }
}

/** At the same time. The chunk is the caller's again when both are done, whatever becomes of the write. */
async function hashAndWrite(
  id: IngestID,
  file: StoreFile,
  hash: RunningHash,
  chunk: Uint8Array,
  position: number,
): Promise<void> {
  const [written, hashed] = await Promise.allSettled([
    named(id, () => file.write([chunk], position)),
    hash.updateAside(chunk),
  ])
  if (written.status === 'rejected') throw written.reason
  if (hashed.status === 'rejected') throw hashed.reason
}

/** What a failure of the disk means for an ingest. Never around the source, whose failures are its own. */
async function named<T>(id: IngestID, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw unknownIngest(id, error)
    throw storeErrorFrom(error, `Cannot write ingest ${id}`)
  }
}

function unknownIngest(id: IngestID, cause?: unknown): StoreError {
  return new StoreError(
    'ingest-unknown',
    `Cannot use ingest ${JSON.stringify(id.slice(0, 100))}: there is none`,
    {
      cause,
    },
  )
}

function busyIngest(id: IngestID, state: string): StoreError {
  return new StoreError('ingest-busy', `Cannot write ingest ${id}: ${state}`)
}

function mismatch(code: 'size-mismatch' | 'digest-mismatch', state: string): OciError {
  return new OciError(code, `Cannot commit ingest: ${state}`)
}
