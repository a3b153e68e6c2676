/**
 * What lies where in the memory of the compressor, which allocates nothing:
 *
 * ```
 * 1 KiB   tables of DEFLATE's alphabets and of logarithms, written by `makeTables`
 * 4 KiB   frequencies, codes and what is needed to make them
 * 64 KiB  matches of the block that is gathered
 * 256 KiB where bytes were seen before: the newest position of each hash, and from each position to the one before
 * 576 KiB the window: up to 32 KiB that came before, 512 KiB to compress
 * 1.2 MiB the output
 * ```
 */

/** u32 for each 1/256 from 1 to 2: the logarithm to the base 2 of it, in 1/4096. */
export const LOGARITHMS: usize = 1024
/** u8 for each length of a match. */
export const LENGTH_SYMBOLS: usize = 2048
/** u8 for each distance up to 256, then for each 128 of them. */
const DISTANCE_SYMBOLS: usize = 2560

/** u32 for each symbol: literals, the end of a block, lengths; then distances. Of the block, and of its newest unit. */
export const FREQUENCIES: usize = 4096
export const UNIT_FREQUENCIES: usize = 6144
/** u32 for each symbol: the code with its first bit lowest, and its length in bits above 65535. */
export const CODES: usize = 8192
/** u8 for each symbol. */
export const CODE_LENGTHS: usize = 10240
/** u32 for each symbol in use. */
export const KEYS: usize = 11264
export const SORTED_KEYS: usize = 13312
export const NODES: usize = 15360
/** u32 for each byte. */
export const BUCKETS: usize = 17408
/** u32 for each code length. */
export const LENGTH_COUNTS: usize = 18944
export const NEXT_CODES: usize = 19200
/** Of the alphabet in which code lengths are written, and its symbols with their extra bits (two u8 each). */
export const HEADER_FREQUENCIES: usize = 20480
export const HEADER_CODES: usize = 20608
export const HEADER_CODE_LENGTHS: usize = 20736
export const HEADER_SYMBOLS: usize = 20992

/** 8 bytes each: u32 literals before the match, u16 length, u16 distance. */
export const MATCHES: usize = 65536
/** u32 for each hash of four bytes. */
export const NEWEST: usize = 262144
/** u32 for each hash of three bytes. */
export const NEWEST_OF_THREE: usize = 393216
/** u16 for each position modulo 32 KiB. */
export const DISTANCE_BEFORE: usize = 458752

export const WINDOW: usize = 589824
export const OUTPUT: usize = 1310720

export const END_OF_BLOCK: u32 = 256
/** The symbol of the shortest match. */
export const LENGTHS_FROM: u32 = 257
export const LENGTHS_END: u32 = 286
export const DISTANCES_FROM: u32 = 288
export const DISTANCES: u32 = 30
export const SYMBOLS: u32 = 320

/** RFC 1951, section 3.2.5. */
export const LENGTH_BASES = memory.data<u16>([
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258,
])
export const LENGTH_EXTRA_BITS = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
])
export const DISTANCE_BASES = memory.data<u16>([
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
  6145, 8193, 12289, 16385, 24577,
])
export const DISTANCE_EXTRA_BITS = memory.data<u8>([
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
])

/** To be called once. */
export function makeTables(): void {
  for (let symbol: u32 = 0; symbol < 29; symbol++) {
    const first = <u32>load<u16>(LENGTH_BASES + (symbol << 1))
    const count: u32 = 1 << load<u8>(LENGTH_EXTRA_BITS + symbol)
    for (let i: u32 = 0; i < count; i++) store<u8>(LENGTH_SYMBOLS + first + i, <u8>symbol)
  }
  for (let symbol: u32 = 0; symbol < DISTANCES; symbol++) {
    const first = <u32>load<u16>(DISTANCE_BASES + (symbol << 1))
    const count: u32 = 1 << load<u8>(DISTANCE_EXTRA_BITS + symbol)
    for (let i: u32 = 0; i < count; i++) store<u8>(distanceSlot(first + i), <u8>symbol)
  }
  for (let i: u32 = 0; i < 256; i++) store<u32>(LOGARITHMS + (i << 2), logarithm(256 + i))
}

/** The place of the symbol of a distance, which is at least 1. */
export function distanceSlot(distance: u32): usize {
  const index = distance - 1
  return DISTANCE_SYMBOLS + (index < 256 ? index : <u32>256 + (index >>> 7))
}

/** log2(x / 256) in 1/4096, by squaring: whole numbers, so that every machine agrees. */
function logarithm(x: u32): u32 {
  let value = (<u64>x) << 22
  let bits: u32 = 0
  for (let i = 0; i < 12; i++) {
    value = (value * value) >>> 30
    const isTwo = value >= 1 << 31
    if (isTwo) value >>>= 1
    bits = (bits << 1) | <u32>isTwo
  }
  return bits
}
