/**
 * The few forms of DER (X.690) that a certificate needs, written only: what others wrote, Node reads. A value is
 * its tag, its length and its content.
 */

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return value(0x30, ...parts)
}

export function set(...parts: readonly Uint8Array[]): Buffer {
  return value(0x31, ...parts)
}

export function boolean(isTrue: boolean): Buffer {
  return value(0x01, Buffer.of(isTrue ? 0xff : 0))
}

/** @param bytes of a number that is not negative, biggest first */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex(byte => byte !== 0)
  const digits = first < 0 ? Buffer.of(0) : bytes.subarray(first)
  // A first bit that is set would make it negative.
  return value(0x02, ...((digits[0] ?? 0) >= 0x80 ? [Buffer.of(0)] : []), digits)
}

/** @param unused bits at the end of the last byte */
export function bitString(bytes: Uint8Array, unused = 0): Buffer {
  return value(0x03, Buffer.of(unused), bytes)
}

export function octetString(bytes: Uint8Array): Buffer {
  return value(0x04, bytes)
}

/** @param dotted such as `2.5.29.17` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return value(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

export function utf8String(text: string): Buffer {
  return value(0x0c, Buffer.from(text))
}

/** To the second. UTCTime holds years up to 2049 (RFC 5280 section 4.1.2.5). */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\..*/g, '')
  return digits < '2050'
    ? value(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : value(0x18, Buffer.from(`${digits}Z`))
}

/** `[number]` around whole values. */
export function explicit(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return value(0xa0 | number, ...parts)
}

/** `[number]` in place of the tag of a value that is no sequence. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return value(0x80 | number, content)
}

function value(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.of(tag), length(content.length), content])
}

function length(count: number): Buffer {
  if (count < 0x80) return Buffer.of(count)
  const bytes: number[] = []
  for (let left = count; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256)
  return Buffer.of(0x80 | bytes.length, ...bytes)
}

/** Seven bits a byte; all bytes but the last have their first bit set. */
function base128(number: number): number[] {
  const bytes = [number % 128]
  for (let left = Math.floor(number / 128); left > 0; left = Math.floor(left / 128))
    bytes.unshift(0x80 | (left % 128))
  return bytes
}
