import { OciError } from '../errors.ts'

const ZSTD_MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const RLE_BLOCK = 1
const RESERVED_BLOCK = 3
const CHECKSUM_BYTES = 4

/** The field that comes next, by RFC 8878, section 3: little-endian numbers of so many bytes. */
const FIELD_BYTES = { magic: 4, descriptor: 1, block: 3, skippable: 4 } as const

/** Cuts chunks where zstd frames end, by reading the lengths in front of frames and blocks. */
export class ZstdFrameCutter {
  #field: keyof typeof FIELD_BYTES = 'magic'
  #value = 0
  #valueBytes = 0
  /** Bytes before the next field. */
  #skip = 0
  #hasChecksum = false

  constructor() {
    this.#expect('magic', 0)
  }

  /** The bytes of the chunk, in pieces that never reach over the end of a frame. @throws OciError `layer-invalid` */
  *cut(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let start = 0
    for (let at = 0; at < chunk.length; ) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at)
        this.#skip -= skipped
        at += skipped
      } else {
        this.#takeByte(chunk[at] ?? 0)
        at++
      }
      const isFrameEnd = this.#field === 'magic' && this.#valueBytes === 0 && this.#skip === 0
      if (!isFrameEnd && at < chunk.length) continue
      yield chunk.subarray(start, at)
      start = at
    }
  }

  #takeByte(byte: number): void {
    this.#value += byte * 256 ** this.#valueBytes
    if (++this.#valueBytes < FIELD_BYTES[this.#field]) return
    const value = this.#value
    if (this.#field === 'magic') this.#takeMagic(value)
    else if (this.#field === 'descriptor') this.#takeDescriptor(value)
    else if (this.#field === 'block') this.#takeBlock(value)
    else this.#expect('magic', value)
  }

  #expect(field: keyof typeof FIELD_BYTES, skip: number): void {
    this.#field = field
    this.#value = 0
    this.#valueBytes = 0
    this.#skip = skip
  }

  #takeMagic(value: number): void {
    if (value === ZSTD_MAGIC) this.#expect('descriptor', 0)
    else if (value - (value % 16) === SKIPPABLE_MAGIC) this.#expect('skippable', 0)
    else throw new OciError('layer-invalid', 'Cannot decompress zstd: what follows is not a frame')
  }

  /** Section 3.1.1.1: what else stands in the frame header. */
  #takeDescriptor(value: number): void {
    const isSingleSegment = (value & 0x20) !== 0
    this.#hasChecksum = (value & 0x04) !== 0
    const windowBytes = isSingleSegment ? 0 : 1
    const dictionaryBytes = [0, 1, 2, 4][value & 3] ?? 0
    const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][value >> 6] ?? 0
    this.#expect('block', windowBytes + dictionaryBytes + contentSizeBytes)
  }

  #takeBlock(value: number): void {
    const isLast = (value & 1) !== 0
    const type = (value >> 1) & 3
    if (type === RESERVED_BLOCK)
      throw new OciError('layer-invalid', 'Cannot decompress zstd: a block is of a type that does not exist')
    const size = type === RLE_BLOCK ? 1 : value >> 3
    if (!isLast) this.#expect('block', size)
    else this.#expect('magic', size + (this.#hasChecksum ? CHECKSUM_BYTES : 0))
  }
}
