/**
 * The hash of an ingest while it grows. Three forms, the last two for SHA-256 only:
 *
 * - **native** (`node:crypto`): fast, but its state cannot leave the process.
 * - **pooled**: the same, by other threads, where `cli` knows how; one that receives uploads has enough to do.
 * - **portable** (`sha256-uint8array`): a quarter of the speed, and its state is 32 bytes and a started block, so
 *   that another process can go on where this one stopped.
 */
import { createHash, type Hash } from 'node:crypto'
import { createHash as createPortableHash } from 'sha256-uint8array'
import { type Digest, type DigestAlgorithm, isDigest } from '../oci/digest.ts'

export interface RunningHash {
  readonly algorithm: DigestAlgorithm
  /** Bytes seen so far. */
  readonly offset: number
  update(chunk: Uint8Array): void
  /**
   * As `update`, but a large chunk may be hashed by another thread: it must stay as it is until this returns, and nothing
   * else be asked of the hash.
   */
  updateAside(chunk: Uint8Array): Promise<void>
  /** Of all bytes so far; the hash can go on after it. */
  digest(): Digest
  save(): SavedHash
}

/** JSON-serializable. */
export interface SavedHash {
  readonly offset: number
  readonly digest: Digest
  /** Only of the portable form: the eight words of the state, and the bytes of the started block in base64. */
  readonly state?: { readonly words: readonly number[]; readonly block: string }
}

export function nativeHash(algorithm: DigestAlgorithm = 'sha256'): RunningHash {
  return new NativeHash(algorithm)
}

/** SHA-256 by other threads than this one. */
export interface PooledSha256 {
  update(chunk: Uint8Array): void
  updateInPool(chunk: Uint8Array): Promise<void>
  digest(): Buffer
}

export function pooledHash(sha256: PooledSha256): RunningHash {
  return new PooledHash(sha256)
}

/** @param saved where to go on; a new hash without it. Undefined when `saved` has no state */
export function portableHash(): RunningHash
export function portableHash(saved: SavedHash): RunningHash | undefined
export function portableHash(saved?: SavedHash): RunningHash | undefined {
  const hash = fieldsOf(createPortableHash())
  if (saved === undefined) return new PortableHash(hash, 0)
  if (saved.state === undefined) return undefined
  restore(hash, saved.offset, saved.state)
  return new PortableHash(hash, saved.offset)
}

/** Undefined for what `save` has not written. */
export function parseSavedHash(value: unknown): SavedHash | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { offset, digest, state } = value as { readonly [name: string]: unknown }
  if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < 0) return undefined
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined
  if (state === undefined) return { offset, digest }
  if (typeof state !== 'object' || state === null) return undefined
  const { words, block } = state as { readonly [name: string]: unknown }
  if (!Array.isArray(words) || words.length !== WORDS.length || !words.every(Number.isInteger))
    return undefined
  if (typeof block !== 'string' || Buffer.from(block, 'base64').length !== offset % BLOCK_BYTES)
    return undefined
  return { offset, digest, state: { words, block } }
}

class NativeHash implements RunningHash {
  readonly algorithm: DigestAlgorithm
  readonly #hash: Hash
  offset = 0

  constructor(algorithm: DigestAlgorithm) {
    this.algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.offset += chunk.length
  }

  async updateAside(chunk: Uint8Array): Promise<void> {
    this.update(chunk)
  }

  digest(): Digest {
    return digestOfHex(this.algorithm, this.#hash.copy().digest('hex'))
  }

  save(): SavedHash {
    return { offset: this.offset, digest: this.digest() }
  }
}

/** Hashing fewer bytes takes less time than asking another thread to. */
const SMALL_BYTES = 64 * 1024

class PooledHash implements RunningHash {
  readonly algorithm = 'sha256'
  readonly #sha256: PooledSha256
  offset = 0

  constructor(sha256: PooledSha256) {
    this.#sha256 = sha256
  }

  update(chunk: Uint8Array): void {
    this.#sha256.update(chunk)
    this.offset += chunk.length
  }

  async updateAside(chunk: Uint8Array): Promise<void> {
    if (chunk.length <= SMALL_BYTES) return this.update(chunk)
    await this.#sha256.updateInPool(chunk)
    this.offset += chunk.length
  }

  digest(): Digest {
    return digestOfHex('sha256', this.#sha256.digest().toString('hex'))
  }

  save(): SavedHash {
    return { offset: this.offset, digest: this.digest() }
  }
}

const BLOCK_BYTES = 64
const WORDS = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'] as const

/** What `sha256-uint8array` keeps but does not declare; its version is pinned, and a test holds it to this. */
type HashFields = ReturnType<typeof createPortableHash> &
  Record<(typeof WORDS)[number], number> & { _size: number; readonly _byte: Uint8Array }

class PortableHash implements RunningHash {
  readonly algorithm = 'sha256'
  readonly #hash: HashFields
  offset: number

  constructor(hash: HashFields, offset: number) {
    this.#hash = hash
    this.offset = offset
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.offset += chunk.length
  }

  async updateAside(chunk: Uint8Array): Promise<void> {
    this.update(chunk)
  }

  digest(): Digest {
    const copy = fieldsOf(createPortableHash())
    restore(copy, this.offset, this.#state())
    return digestOfHex('sha256', copy.digest('hex'))
  }

  save(): SavedHash {
    return { offset: this.offset, digest: this.digest(), state: this.#state() }
  }

  #state(): NonNullable<SavedHash['state']> {
    const block = this.#hash._byte.subarray(0, this.offset % BLOCK_BYTES)
    return { words: WORDS.map(name => this.#hash[name]), block: Buffer.from(block).toString('base64') }
  }
}

function fieldsOf(hash: ReturnType<typeof createPortableHash>): HashFields {
  const fields = hash as HashFields
  if (WORDS.some(name => typeof fields[name] !== 'number') || !(fields._byte instanceof Uint8Array))
    throw new Error('sha256-uint8array no longer keeps its state where this version of Slipway knows it')
  return fields
}

function restore(hash: HashFields, offset: number, state: NonNullable<SavedHash['state']>): void {
  for (const [index, name] of WORDS.entries()) hash[name] = state.words[index] ?? 0
  hash._byte.set(Buffer.from(state.block, 'base64'))
  hash._size = offset
}

function digestOfHex(algorithm: DigestAlgorithm, hex: string): Digest {
  const digest = `${algorithm}:${hex}`
  if (!isDigest(digest)) throw new Error('a hash has as many hex digits as its algorithm says')
  return digest
}
