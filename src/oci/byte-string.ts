declare const byteStringBrand: unique symbol

/**
 * Bytes as a string with one character per byte (latin1). Linux file names, link targets and the keys of
 * extended attributes are bytes, not text: kept this way they survive any encoding, work as `Map` keys, and
 * compare with `<` in byte order. ASCII names look the same in both worlds.
 */
export type ByteString = string & { readonly [byteStringBrand]: true }

/** From text (a Dockerfile, an argument): its UTF-8 bytes. */
export function byteStringOf(text: string): ByteString {
  return (isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')) as ByteString
}

/** From raw bytes (a tar header, a directory listing with `encoding: 'buffer'`). */
export function byteStringFrom(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as ByteString
}

/** For `node:fs` and `src/linux`, which take paths as buffers. */
export function bytesOf(value: ByteString): Buffer {
  return Buffer.from(value, 'latin1')
}

/** For people: the text where the bytes are UTF-8; a byte that is not shows as U+FFFD. */
export function displayText(value: ByteString): string {
  return isAscii(value) ? value : Buffer.from(value, 'latin1').toString('utf8')
}

/** Byte order, for sorting. */
export function compareByteStrings(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant, controls included
  return /^[\x00-\x7f]*$/.test(text)
}
