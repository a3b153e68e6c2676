/** Deflate, no flags, mtime 0, no extra flags, system unknown (RFC 1952, section 2.3.1). */
export const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])

/** A last block of fixed codes that holds nothing. */
const DEFLATE_END = Buffer.from([3, 0])

/**
 * What ends a member whose deflate blocks were flushed to a byte boundary.
 * @param checksum CRC-32 of the uncompressed bytes @param size how many they are
 */
export function gzipEnd(checksum: number, size: number): Buffer {
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(checksum, 0)
  trailer.writeUInt32LE(size % 2 ** 32, 4)
  return Buffer.concat([DEFLATE_END, trailer])
}
