/**
 * Reads tar archives of unknown origin. Where readers disagree we read as Go's archive/tar does, because that is
 * what unpacks images elsewhere:
 *
 * - links, directories, devices and FIFOs have no body, whatever their size field says
 * - an archive may end without the two zero blocks, but only where an entry (padding included) has ended
 * - nothing after the two zero blocks is an entry; the source is read to its end, so that its digest can be checked
 *
 * and we refuse (`tar-invalid`) what honest writers do not make: see `extensions.ts`.
 */
import { OciError } from '../errors.ts'
import { type ArchiveLimits, DEFAULT_LIMITS, limitExceeded } from '../limits.ts'
import type { TarEntry } from './entry.ts'
import { EntryExtensions, isExtensionType } from './extensions.ts'
import { BLOCK_BYTES, decodeHeader, type TarHeader, tarInvalid } from './header.ts'

/** What an archive may cost; what is not given has its default. */
export type TarLimits = Partial<ArchiveLimits>

/** A piece of body belongs to the entry before it; its bytes are a view of the chunk that was pushed. */
export type TarEvent =
  | { readonly kind: 'entry'; readonly entry: TarEntry; readonly bodyOffset: number }
  | { readonly kind: 'body'; readonly chunk: Buffer }

/** An entry, and its content if wanted: it can be read once, and only until the next record is asked for. */
export interface TarRecord {
  readonly entry: TarEntry
  /** Where the body starts in the uncompressed tar, in bytes. */
  readonly bodyOffset: number
  body(): AsyncIterable<Buffer>
}

/**
 * The entries of an archive in order. A body that is not read is skipped. Ending the iteration early closes the
 * source.
 * @throws OciError `tar-invalid`
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarLimits = {},
): AsyncGenerator<TarRecord, void, undefined> {
  await using events = new EventReader(source, limits)
  for (let event = await events.next(); event !== undefined; event = await events.next()) {
    if (event.kind !== 'entry') continue
    const { entry, bodyOffset } = event
    const turn = events.turn
    yield { entry, bodyOffset, body: () => readBody(events, turn, entry) }
  }
}

async function* readBody(
  events: EventReader,
  turn: number,
  entry: TarEntry,
): AsyncGenerator<Buffer, void, undefined> {
  let left = entry.size
  if (left > 0 && events.turn !== turn) throw bodyGone(entry)
  while (left > 0) {
    const event = events.nextNow() ?? (await events.next())
    if (event?.kind !== 'body') throw bodyGone(entry)
    left -= event.chunk.length
    const now = events.turn
    yield event.chunk
    if (left > 0 && events.turn !== now) throw bodyGone(entry)
  }
}

function bodyGone(entry: TarEntry): OciError {
  return new OciError(
    'tar-invalid',
    `Cannot read body of ${JSON.stringify(entry.path)}: it has been passed already`,
  )
}

/** Pulls events out of a source. */
class EventReader implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #parser: TarParser
  #events: Iterator<TarEvent> | undefined
  #isAtEnd = false
  /** Counts the events given. */
  turn = 0

  constructor(source: AsyncIterable<Uint8Array>, limits: TarLimits) {
    this.#chunks = source[Symbol.asyncIterator]()
    this.#parser = new TarParser(limits)
  }

  /** An event of the bytes that are already here. */
  nextNow(): TarEvent | undefined {
    const next = this.#events?.next()
    if (next === undefined || next.done === true) return undefined
    this.turn++
    return next.value
  }

  /** Undefined at the end of the source. */
  async next(): Promise<TarEvent | undefined> {
    for (;;) {
      const event = this.nextNow()
      if (event !== undefined || this.#isAtEnd) return event
      const chunk = await this.#chunks.next()
      if (chunk.done === true) {
        this.#isAtEnd = true
        this.#parser.finish()
        return undefined
      }
      this.#events = this.#parser.push(chunk.value)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isAtEnd) await this.#chunks.return?.()
    this.#isAtEnd = true
  }
}

/** Gathers bytes that are wanted in one piece: a header block, or the body of an extended header. */
interface Gathering {
  readonly bytes: Buffer
  filled: number
  /** The header that the bytes extend; undefined while they are a header block themselves. */
  readonly extension: { readonly header: TarHeader; readonly at: number } | undefined
}

/**
 * The state machine: chunks of any size in, events out. Keeps at most one extended header; bodies pass through as
 * views. An error leaves the parser unusable.
 */
export class TarParser {
  readonly #limits: ArchiveLimits
  readonly #extensions = new EntryExtensions()
  #state: 'reading' | 'zero-block' | 'ended' = 'reading'
  #gathering: Gathering | undefined
  /** Bytes of body, and then of padding, before the next header. */
  #body = 0
  #padding = 0
  #offset = 0
  #total = 0
  #entries = 0
  #extensionBytes = 0

  constructor(limits: TarLimits = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
  }

  /** The events must be taken to the end before the next push. @throws OciError `tar-invalid` */
  *push(chunk: Uint8Array): Generator<TarEvent, void, undefined> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    this.#total += bytes.length
    const { archiveBytes } = this.#limits
    if (this.#total > archiveBytes)
      throw limitExceeded('archiveBytes', archiveBytes, 'Cannot read tar: the archive is too long')
    for (let at = 0; at < bytes.length && this.#state !== 'ended'; ) {
      const start = at
      if (this.#body > 0) {
        at += Math.min(this.#body, bytes.length - at)
        this.#body -= at - start
        this.#offset += at - start
        yield { kind: 'body', chunk: bytes.subarray(start, at) }
      } else if (this.#padding > 0) {
        at += Math.min(this.#padding, bytes.length - at)
        this.#padding -= at - start
        this.#offset += at - start
      } else {
        at += this.#gather(bytes, at)
        this.#offset += at - start
        const event = this.#takeGathered()
        if (event !== undefined) yield event
      }
    }
  }

  /** Tells that no more bytes come. @throws OciError `tar-invalid` when something is missing */
  finish(): void {
    if (this.#state === 'ended') return
    if (this.#body > 0)
      throw tarInvalid(this.#offset, `the archive is cut off: ${this.#body} bytes of body are missing`)
    if (this.#gathering !== undefined || this.#padding > 0 || this.#extensions.isPending)
      throw tarInvalid(this.#offset, 'the archive is cut off')
  }

  /** Takes what is missing from the chunk; returns how many bytes that was. */
  #gather(bytes: Buffer, at: number): number {
    const available = bytes.length - at
    if (this.#gathering === undefined) {
      const isWhole = available >= BLOCK_BYTES
      this.#gathering = {
        bytes: isWhole ? bytes.subarray(at, at + BLOCK_BYTES) : Buffer.alloc(BLOCK_BYTES),
        filled: isWhole ? BLOCK_BYTES : 0,
        extension: undefined,
      }
      if (isWhole) return BLOCK_BYTES
    }
    const gathering = this.#gathering
    const taken = bytes.copy(gathering.bytes, gathering.filled, at)
    gathering.filled += taken
    return taken
  }

  #takeGathered(): TarEvent | undefined {
    const gathering = this.#gathering
    if (gathering === undefined || gathering.filled < gathering.bytes.length) return undefined
    this.#gathering = undefined
    if (gathering.extension === undefined) return this.#takeHeader(gathering.bytes)
    this.#takeExtension(gathering.extension, gathering.bytes)
    return undefined
  }

  #takeHeader(block: Buffer): TarEvent | undefined {
    const at = this.#offset - BLOCK_BYTES
    const header = decodeHeader(block, at)
    if (header === undefined) {
      if (this.#extensions.isPending) throw tarInvalid(at, 'the archive ends after an extended header')
      this.#state = this.#state === 'zero-block' ? 'ended' : 'zero-block'
      return undefined
    }
    if (this.#state === 'zero-block') throw tarInvalid(at, 'a single zero block stands between entries')
    if (isExtensionType(header.type)) return this.#startExtension(header, at)
    const { archiveEntries } = this.#limits
    if (++this.#entries > archiveEntries)
      throw limitExceeded(
        'archiveEntries',
        archiveEntries,
        'Cannot read tar: the archive has too many entries',
      )
    const entry = this.#extensions.apply(header, this.#limits, at)
    this.#body = entry.size
    this.#padding = paddingAfter(entry.size)
    return { kind: 'entry', entry, bodyOffset: this.#offset }
  }

  #startExtension(header: TarHeader, at: number): undefined {
    const { size } = header
    const { paxBytes, paxTotalBytes } = this.#limits
    if (size < 0) throw tarInvalid(at, `an extended header of ${size} bytes`)
    if (size > paxBytes)
      throw limitExceeded(
        'paxBytes',
        paxBytes,
        `Cannot read tar at byte ${at}: an extended header of ${size} bytes`,
      )
    this.#extensionBytes += size
    if (this.#extensionBytes > paxTotalBytes)
      throw limitExceeded(
        'paxTotalBytes',
        paxTotalBytes,
        `Cannot read tar at byte ${at}: all extended headers together are too long`,
      )
    if (size === 0) this.#takeExtension({ header, at }, Buffer.alloc(0))
    else this.#gathering = { bytes: Buffer.alloc(size), filled: 0, extension: { header, at } }
    return undefined
  }

  #takeExtension({ header, at }: { header: TarHeader; at: number }, body: Buffer): void {
    if (!isExtensionType(header.type)) return
    this.#extensions.add(header.type, body, at)
    this.#padding = paddingAfter(header.size)
  }
}

/** Bodies are filled up with zeros to whole blocks. */
function paddingAfter(size: number): number {
  const over = size % BLOCK_BYTES
  return over === 0 ? 0 : BLOCK_BYTES - over
}
