/**
 * Where the bytes at a position were seen before. Positions count from `ORIGIN`, so that what was never seen lies
 * too far back to be used.
 */
import { DISTANCE_BEFORE, NEWEST, NEWEST_OF_THREE, WINDOW } from './memory'

export const ORIGIN: u32 = 65536
/** To be added to a position. */
export const BYTES: usize = WINDOW - ORIGIN
export const MAX_LENGTH: u32 = 258
const MAX_DISTANCE: u32 = 32767
/** Three bytes from farther away cost more than they are themselves. */
const MAX_DISTANCE_OF_THREE: u32 = 4096
/** A match of that length is taken without looking for a longer one. */
export const GOOD_LENGTH: u32 = 32

const HASH_BITS: u32 = 15
const HASH_OF_THREE_BITS: u32 = 14
const FACTOR: u32 = 0x9e3779b1

export function forgetPositions(): void {
  memory.fill(NEWEST, 0, 4 << HASH_BITS)
  memory.fill(NEWEST_OF_THREE, 0, 4 << HASH_OF_THREE_BITS)
}

/** Remembers the position. Returns how far back the one before it with the same hash is. */
export function remember(position: u32): u32 {
  const newest = NEWEST + (((load<u32>(BYTES + position) * FACTOR) >>> (32 - HASH_BITS)) << 2)
  const distance = position - load<u32>(newest)
  store<u16>(DISTANCE_BEFORE + ((position & 32767) << 1), <u16>min<u32>(distance, 65535))
  store<u32>(newest, position)
  return distance
}

/**
 * A match at the position that is longer than `longerThan`, and at most `limit` bytes; the position is remembered.
 * Returns the length above 65535 and the distance, or 0.
 * @param attempts how many places to look at
 */
export function findMatch(position: u32, limit: u32, longerThan: u32, attempts: u32): u32 {
  const here = BYTES + position
  const bytes = load<u32>(here)
  let distance = remember(position)
  let best = max<u32>(longerThan, 3)
  let found = matchOfThree(position, bytes, longerThan)
  if (limit < 4) return found
  let end = load<u32>(here + best - 3)
  while (distance <= MAX_DISTANCE) {
    const there = here - distance
    if (load<u32>(there + best - 3) === end && load<u32>(there) === bytes) {
      const length = commonLength(here, there, limit)
      if (length > best) {
        best = length
        found = (length << 16) | distance
        if (length >= GOOD_LENGTH || length === limit) break
        end = load<u32>(here + best - 3)
      }
    }
    if (--attempts === 0) break
    distance += load<u16>(DISTANCE_BEFORE + (((position - distance) & 32767) << 1))
  }
  return found
}

function matchOfThree(position: u32, bytes: u32, longerThan: u32): u32 {
  const newest = NEWEST_OF_THREE + ((((bytes << 8) * FACTOR) >>> (32 - HASH_OF_THREE_BITS)) << 2)
  const distance = position - load<u32>(newest)
  store<u32>(newest, position)
  if (longerThan >= 3 || distance > MAX_DISTANCE_OF_THREE) return 0
  return (load<u32>(BYTES + position - distance) ^ bytes) << 8 === 0 ? (3 << 16) | distance : 0
}

function commonLength(here: usize, there: usize, limit: u32): u32 {
  let length: u32 = 0
  for (; length + 8 <= limit; length += 8) {
    const differing = load<u64>(here + length) ^ load<u64>(there + length)
    if (differing !== 0) return length + (<u32>ctz(differing) >>> 3)
  }
  while (length < limit && load<u8>(here + length) === load<u8>(there + length)) length++
  return length
}
