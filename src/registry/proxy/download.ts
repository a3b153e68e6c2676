import { setTimeout as delay } from 'node:timers/promises'
import { chunksOf, freed } from '../../oci/chunks.ts'
import type { BlobInfo } from '../../oci/content.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { DiskIngest } from '../../store/ingest.ts'
import type { Claim, DownloadClaims } from '../../store/upstream-rows.ts'
import { RegistryError } from '../errors.ts'
import type { RegistryStore } from '../registry-store.ts'
import { upstreamError } from './failures.ts'
import type { Growing } from './growing-content.ts'
import type { ProxyUsage } from './proxy-usage.ts'
import type { Upstream } from './upstreams.ts'

/** Readers are told of growth in steps of so much, which is what the store writes at once. */
const STEP_BYTES = 256 * 1024
/** A download that nobody reads goes on for so long: a client that lost its connection comes back. */
const ABANDONED_MS = 10_000

export interface OwnDownloadDeps {
  readonly upstream: Upstream
  readonly blob: BlobInfo
  readonly ingest: Pick<DiskIngest, 'append' | 'commit' | 'abort'>
  readonly usage: Pick<ProxyUsage, 'received'>
  readonly signal: AbortSignal
  /** Called when the bytes are stored, before readers see the end. */
  readonly onStored: () => void
}

/** A download of this process. Goes on without its readers, and stops when there have been none for a while. */
export class OwnDownload implements Growing {
  readonly #deps: OwnDownloadDeps
  readonly #abandoned = new AbortController()
  readonly #begun = Promise.withResolvers<void>()
  #outcome: Growing['outcome']
  #version = 0
  #waiting: (() => void)[] = []
  #readers = 0
  #timer: NodeJS.Timeout | undefined

  constructor(deps: OwnDownloadDeps) {
    this.#deps = deps
    this.#begun.promise.catch(() => undefined)
  }

  get outcome(): Growing['outcome'] {
    return this.#outcome
  }

  get version(): number {
    return this.#version
  }

  /** Returns when the upstream has begun to answer. @throws RegistryError when it refuses */
  begun(): Promise<void> {
    return this.#begun.promise
  }

  changed(version: number): Promise<void> {
    if (version !== this.#version) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** True once it was given up; it then comes to nothing. */
  get isAbandoned(): boolean {
    return this.#abandoned.signal.aborted
  }

  addReader(): void {
    this.#readers++
    clearTimeout(this.#timer)
  }

  removeReader(): void {
    this.#readers--
    if (this.#readers > 0 || this.#outcome !== undefined) return
    this.#timer = setTimeout(() => this.#abandoned.abort(), ABANDONED_MS).unref()
  }

  /** The outcome says how it went. @throws StoreError only when it could not tidy up after a failure */
  async run(): Promise<void> {
    const { upstream, ingest, blob, onStored } = this.#deps
    const signal = AbortSignal.any([this.#deps.signal, this.#abandoned.signal])
    try {
      signal.throwIfAborted()
      const mediaType = 'application/octet-stream'
      const source = await upstream.repository(signal).open({ ...blob, mediaType })
      try {
        this.#begun.resolve()
        await ingest.append(freed(this.#counted(chunksOf(source))), signal)
        await ingest.commit(blob)
      } finally {
        source.destroy()
      }
      onStored()
      this.#end('whole')
    } catch (error) {
      const failure = upstreamError(error, upstream.host, 'blob-unknown')
      this.#end(failure instanceof Error ? failure : new Error(String(failure)))
      await ingest.abort()
    } finally {
      clearTimeout(this.#timer)
    }
  }

  async *#counted(source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    const { blob, usage } = this.#deps
    const { digest, size } = blob
    let offset = 0
    let told = 0
    for await (const chunk of source) {
      offset += chunk.length
      usage.received(chunk.length)
      if (offset > size)
        throw new OciError('size-mismatch', `${digest} goes on after the ${size} bytes that it should have`)
      yield chunk
      if (offset - told < STEP_BYTES) continue
      told = offset
      this.#tell()
    }
  }

  #end(outcome: 'whole' | Error): void {
    this.#outcome = outcome
    if (outcome === 'whole') this.#begun.resolve()
    else this.#begun.reject(outcome)
    this.#tell()
  }

  #tell(): void {
    this.#version++
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

const POLL_MS = 50

/** A download of another process: only its file and its claim can be seen. */
export class FollowedDownload implements Growing {
  readonly #digest: Digest
  readonly #claim: Claim
  readonly #claims: DownloadClaims
  readonly #content: RegistryStore['content']
  #outcome: Growing['outcome']
  #version = 0

  constructor(digest: Digest, claim: Claim, claims: DownloadClaims, content: RegistryStore['content']) {
    this.#digest = digest
    this.#claim = claim
    this.#claims = claims
    this.#content = content
  }

  get outcome(): Growing['outcome'] {
    return this.#outcome
  }

  get version(): number {
    return this.#version
  }

  async changed(version: number): Promise<void> {
    if (version !== this.#version) return
    await delay(POLL_MS)
    // A claim is given up after the content is stored.
    const isRunning = this.#claims.find(this.#digest)?.ingest === this.#claim.ingest
    if ((await this.#content.stat(this.#digest)) !== undefined) this.#outcome = 'whole'
    else if (!isRunning)
      this.#outcome = new RegistryError(
        'upstream-failed',
        `Cannot go on with ${this.#digest}: the process that fetched it has given up; try again`,
      )
    this.#version++
  }
}
