/**
 * How an ingest's digest is known at its commit without reading again what was written.
 *
 * An ingest starts with a native or pooled hash (`running-hash.ts`), which stays in this process's memory between its
 * requests; an upload that stays in one process is hashed at full speed and never read. When an ingest is closed, `<id>.state` keeps the
 * digest of what is there so far: another process can commit it, though not go on. A process that must go on with an
 * ingest that it has no live hash for reads the file once, with the portable hash, and saves that one's state from
 * then on: however often the ingest then moves, nothing is read twice. (SHA-512 has no portable hash: each move costs
 * a read.) Which algorithm runs along, the state tells too; a digest of another one costs a read at the commit.
 *
 * The state belongs to one boot of the machine: the bytes it speaks of were not synced, and after a power failure
 * they are read instead of trusted.
 */
import { readFile } from 'node:fs/promises'
import type { IngestID } from '../oci/content.ts'
import { type Digest, type DigestAlgorithm, digestAlgorithm } from '../oci/digest.ts'
import { isErrno } from '../oci/errors.ts'
import { parseJson } from '../oci/json.ts'
import { bootID } from './process-identity.ts'
import {
  nativeHash,
  type PooledSha256,
  parseSavedHash,
  pooledHash,
  portableHash,
  type RunningHash,
  type SavedHash,
} from './running-hash.ts'
import type { StoreFile, StoreFiles } from './store-files.ts'
import type { StoreLayout } from './store-layout.ts'

export interface IngestHashes {
  /**
   * The hash of the file's first `offset` bytes, ready to go on.
   * @param hint the algorithm for a file that is empty yet, where it is known
   */
  forAppend(
    id: IngestID,
    file: StoreFile,
    offset: number,
    signal: AbortSignal,
    hint?: DigestAlgorithm,
  ): Promise<RunningHash>
  /** The digest of the file's first `offset` bytes. */
  digest(id: IngestID, file: StoreFile, offset: number, algorithm: DigestAlgorithm): Promise<Digest>
  /** Keeps the hash for the next request, here or in another process. */
  keep(id: IngestID, hash: RunningHash): Promise<void>
  forget(id: IngestID): Promise<void>
}

export interface IngestHashesDeps {
  readonly files: StoreFiles
  readonly layout: StoreLayout
  /** How many live hashes to keep between requests; beyond it the oldest goes. */
  readonly maxLive?: number
  /** Hashes with other threads than this one; without it this one does. */
  readonly sha256?: (() => PooledSha256) | undefined
}

export function createIngestHashes({ files, layout, maxLive = 256, sha256 }: IngestHashesDeps): IngestHashes {
  const newHash = (algorithm: DigestAlgorithm): RunningHash =>
    algorithm === 'sha256' && sha256 !== undefined ? pooledHash(sha256()) : nativeHash(algorithm)
  const live = new Map<IngestID, RunningHash>()
  const boot = bootID()

  const takeLive = (id: IngestID, offset: number): RunningHash | undefined => {
    const hash = live.get(id)
    live.delete(id)
    return hash?.offset === offset ? hash : undefined
  }
  const readState = async (id: IngestID, offset: number): Promise<SavedHash | undefined> => {
    const value = await readJson(layout.ingestState(id))
    if (typeof value !== 'object' || value === null || !('boot' in value) || value.boot !== boot)
      return undefined
    const saved = parseSavedHash(value)
    return saved !== undefined && saved.offset <= offset ? saved : undefined
  }

  return {
    async forAppend(id, file, offset, signal, hint) {
      const known = takeLive(id, offset)
      if (known !== undefined && (offset > 0 || hint === undefined || hint === known.algorithm)) return known
      const saved = await readState(id, offset)
      const algorithm = saved === undefined ? 'sha256' : digestAlgorithm(saved.digest)
      if (offset === 0) return newHash(hint ?? algorithm)
      const hash =
        algorithm === 'sha256' ? ((saved && portableHash(saved)) ?? portableHash()) : nativeHash(algorithm)
      await catchUp(hash, file, offset, signal)
      return hash
    },

    async digest(id, file, offset, algorithm) {
      const known = takeLive(id, offset)
      if (known?.algorithm === algorithm) return known.digest()
      const saved = await readState(id, offset)
      if (saved?.offset === offset && digestAlgorithm(saved.digest) === algorithm) return saved.digest
      const hash = nativeHash(algorithm)
      await catchUp(hash, file, offset)
      return hash.digest()
    },

    async keep(id, hash) {
      live.delete(id)
      live.set(id, hash)
      for (const oldest of live.keys()) {
        if (live.size <= maxLive) break
        live.delete(oldest)
      }
      try {
        await files.write(layout.ingestState(id), JSON.stringify({ boot, ...hash.save() }))
      } catch (error) {
        // Costs the next process a read, no more; the bytes themselves are safe.
        if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error
      }
    },

    async forget(id) {
      live.delete(id)
      await files.unlink(layout.ingestState(id))
    },
  }
}

const READ_BYTES = 1024 * 1024

/** Feeds the file's bytes from where the hash stands up to `end`. */
export async function catchUp(
  hash: { readonly offset: number; update(chunk: Uint8Array): void },
  file: StoreFile,
  end: number,
  signal?: AbortSignal,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - hash.offset))
  while (hash.offset < end) {
    signal?.throwIfAborted()
    const want = Math.min(buffer.length, end - hash.offset)
    const got = await file.read(buffer.subarray(0, want), hash.offset)
    if (got < want) throw new Error('an ingest that is locked does not shrink')
    hash.update(buffer.subarray(0, got))
  }
}

async function readJson(path: string): Promise<unknown> {
  try {
    return parseJson(await readFile(path))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
