/** Values one after the other, read back in the same order. Text has one byte per character (latin1). */

export class BinaryWriter {
  #buffer = Buffer.allocUnsafe(64 * 1024)
  #length = 0
  #previousPath = ''

  /** The bytes written so far. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** A safe integer from 0, 7 bits a byte, low ones first. */
  number(value: number): void {
    this.#reserve(MAX_VARINT_BYTES)
    let rest = value
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#buffer[this.#length++] = rest
  }

  /** A safe integer: its sign, then its distance from 0 or -1. */
  signed(value: number): void {
    this.number(value < 0 ? 1 : 0)
    this.number(value < 0 ? -1 - value : value)
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  text(text: string): void {
    this.number(text.length)
    this.#reserve(text.length)
    this.#length += this.#buffer.write(text, this.#length, 'latin1')
  }

  /** Text that often starts as the one written before by this method. */
  path(path: string): void {
    const shared = sharedLength(this.#previousPath, path)
    this.number(shared)
    this.text(path.slice(shared))
    this.#previousPath = path
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + more))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** Of bytes that may be corrupt: every read throws the error that `invalid` makes instead of going beyond them. */
export class BinaryReader {
  readonly #bytes: Buffer
  readonly #invalid: (problem: string) => Error
  #at = 0
  #previousPath = ''

  constructor(bytes: Buffer, invalid: (problem: string) => Error) {
    this.#bytes = bytes
    this.#invalid = invalid
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  number(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw this.#invalid('it is cut off')
      value += (byte & 0x7f) * scale
      if (byte < 0x80 && Number.isSafeInteger(value)) return value
      scale *= 0x80
    }
    throw this.#invalid('a number is too large')
  }

  signed(): number {
    return this.number() === 0 ? this.number() : -1 - this.number()
  }

  /** A view. */
  raw(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw this.#invalid('it is cut off')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    return this.raw(this.number()).toString('latin1')
  }

  path(): string {
    const shared = this.number()
    if (shared > this.#previousPath.length) throw this.#invalid('a path refers to more than the one before')
    this.#previousPath = this.#previousPath.slice(0, shared) + this.text()
    return this.#previousPath
  }
}

/** Enough for 53 bits. */
const MAX_VARINT_BYTES = 8

function sharedLength(a: string, b: string): number {
  const limit = Math.min(a.length, b.length)
  let length = 0
  while (length < limit && a.charCodeAt(length) === b.charCodeAt(length)) length++
  return length
}
