/** Huffman codes (RFC 1951, section 3.2.2). */
import { BUCKETS, KEYS, LENGTH_COUNTS, LOGARITHMS, NEXT_CODES, NODES, SORTED_KEYS } from './memory'

/** n * log2(n), in 1/4096 bits. */
export function nLogN(n: u32): u64 {
  if (n === 0) return 0
  const zeros = clz(n)
  const fraction = load<u32>(LOGARITHMS + ((((n << zeros) >>> 23) & 255) << 2))
  return <u64>n * (((31 - zeros) << 12) | fraction)
}

/**
 * Makes a code of at most `limit` bits for each of `count` symbols that occurs (at most 65535 times): its length in
 * `lengths`, itself in `codes`. It makes two codes at least, because some decoders take no single one.
 */
export function makeCodes(frequencies: usize, count: u32, limit: u32, lengths: usize, codes: usize): void {
  memory.fill(lengths, 0, count)
  const used = gatherKeys(frequencies, count)
  sortKeys(KEYS, SORTED_KEYS, used, 9)
  sortKeys(SORTED_KEYS, KEYS, used, 17)
  makeDepths(used)
  countLengths(used, limit)
  let next: u32 = 0
  for (let length = limit; length > 0; length--) {
    for (let left = load<u32>(LENGTH_COUNTS + (length << 2)); left > 0; left--) {
      store<u8>(lengths + (load<u32>(KEYS + (next << 2)) & 511), <u8>length)
      next++
    }
  }
  numberCodes(lengths, count, limit, codes)
}

/** A key is the frequency of a symbol, and in the lowest 9 bits the symbol. */
function gatherKeys(frequencies: usize, count: u32): u32 {
  let used: u32 = 0
  for (let symbol: u32 = 0; symbol < count; symbol++) {
    const frequency = load<u32>(frequencies + (symbol << 2))
    if (frequency === 0) continue
    store<u32>(KEYS + (used << 2), (frequency << 9) | symbol)
    used++
  }
  for (let symbol: u32 = 0; used < 2; symbol++) {
    if (load<u32>(frequencies + (symbol << 2)) !== 0) continue
    store<u32>(KEYS + (used << 2), (1 << 9) | symbol)
    used++
  }
  return used
}

/** Sorts by one byte of the keys, and leaves those that are alike in their order. */
function sortKeys(from: usize, to: usize, count: u32, shift: u32): void {
  memory.fill(BUCKETS, 0, 257 * 4)
  for (let i: u32 = 0; i < count; i++) {
    const after = BUCKETS + (((load<u32>(from + (i << 2)) >>> shift) & 255) << 2)
    store<u32>(after, load<u32>(after, 4) + 1, 4)
  }
  let sum: u32 = 0
  for (let bucket: usize = BUCKETS; bucket < BUCKETS + 1024; bucket += 4) {
    sum += load<u32>(bucket)
    store<u32>(bucket, sum)
  }
  for (let i: u32 = 0; i < count; i++) {
    const key = load<u32>(from + (i << 2))
    const bucket = BUCKETS + (((key >>> shift) & 255) << 2)
    const place = load<u32>(bucket)
    store<u32>(bucket, place + 1)
    store<u32>(to + (place << 2), key)
  }
}

function node(index: u32): u32 {
  return load<u32>(NODES + (index << 2))
}

function setNode(index: u32, value: u32): void {
  store<u32>(NODES + (index << 2), value)
}

/**
 * The tree over the sorted keys, in place (Moffat and Katajainen, 1995): a node holds its weight, then its parent,
 * then, for the `used - 1` inner nodes, its depth.
 */
function makeDepths(used: u32): void {
  for (let i: u32 = 0; i < used; i++) setNode(i, load<u32>(KEYS + (i << 2)) >>> 9)
  let inner: u32 = 0
  let leaf: u32 = 0
  for (let next: u32 = 0; next < used - 1; next++) {
    let weight: u32 = 0
    for (let child = 0; child < 2; child++) {
      if (leaf >= used || (inner < next && node(inner) < node(leaf))) {
        weight += node(inner)
        setNode(inner, next)
        inner++
      } else {
        weight += node(leaf)
        leaf++
      }
    }
    setNode(next, weight)
  }
  setNode(used - 2, 0)
  for (let i = <i32>used - 3; i >= 0; i--) setNode(i, node(node(i)) + 1)
}

/** How many codes have each length: the leaves of each depth, those too deep drawn up to the limit. */
function countLengths(used: u32, limit: u32): void {
  memory.fill(LENGTH_COUNTS, 0, 16 * 4)
  let inner = <i32>used - 2
  let left = used
  for (let depth: u32 = 0, room: u32 = 1; left > 0; depth++) {
    let parents: u32 = 0
    for (; inner >= 0 && node(inner) === depth; inner--) parents++
    addCount(depth < limit ? depth : limit, room - parents)
    left -= room - parents
    room = parents << 1
  }
  let taken: u32 = 0
  for (let length: u32 = 1; length <= limit; length++)
    taken += load<u32>(LENGTH_COUNTS + (length << 2)) << (limit - length)
  // A leaf moves one down and gets one of the deepest as its sibling, which frees a code of full length.
  for (; taken > (<u32>1) << limit; taken--) {
    let length = limit - 1
    while (load<u32>(LENGTH_COUNTS + (length << 2)) === 0) length--
    addCount(length, -1)
    addCount(length + 1, 2)
    addCount(limit, -1)
  }
}

function addCount(length: u32, count: u32): void {
  const place = LENGTH_COUNTS + (length << 2)
  store<u32>(place, load<u32>(place) + count)
}

function numberCodes(lengths: usize, count: u32, limit: u32, codes: usize): void {
  let code: u32 = 0
  for (let length: u32 = 1; length <= limit; length++) {
    code = (code + load<u32>(LENGTH_COUNTS + ((length - 1) << 2))) << 1
    store<u32>(NEXT_CODES + (length << 2), code)
  }
  for (let symbol: u32 = 0; symbol < count; symbol++) {
    const length = <u32>load<u8>(lengths + symbol)
    if (length === 0) continue
    const next = NEXT_CODES + (length << 2)
    const number = load<u32>(next)
    store<u32>(next, number + 1)
    store<u32>(codes + (symbol << 2), reversed(number, length) | (length << 16))
  }
}

function reversed(code: u32, length: u32): u32 {
  let bits = ((code & 0x5555) << 1) | ((code >>> 1) & 0x5555)
  bits = ((bits & 0x3333) << 2) | ((bits >>> 2) & 0x3333)
  bits = ((bits & 0x0f0f) << 4) | ((bits >>> 4) & 0x0f0f)
  bits = ((bits & 0x00ff) << 8) | (bits >>> 8)
  return bits >>> (16 - length)
}
