/**
 * DEFLATE (RFC 1951) of blocks of up to 512 KiB, in AssemblyScript: as small as zlib's level 6 makes them, in half of
 * the time. `scripts/build-deflate.ts` makes `../deflate-wasm.ts` of it.
 *
 * Whole numbers only, one thread, no imports: the same bytes on every machine and by every version of Node.js.
 */
import { endOutput, startOutput } from './bits'
import { addLiteral, addMatch, endBlocks, endUnit, startBlocks, unitEnd } from './block'
import { makeTables } from './memory'
import { BYTES, findMatch, forgetPositions, GOOD_LENGTH, MAX_LENGTH, ORIGIN, remember } from './search'

export { OUTPUT, WINDOW } from './memory'

/** Places that are looked at for a match. */
const ATTEMPTS: u32 = 8
/** From here on, a longer match at the next byte is looked for at fewer places. */
const FAIR_LENGTH: u32 = 16
/** After so many bytes (a power of two) without a match, a byte more is passed over between two that are looked at. */
const PATIENCE_BITS: u32 = 5
const MAX_STEP: u32 = 16

makeTables()

/**
 * Deflates `size` bytes of `WINDOW` that follow `before` others, of which decoders have the last 32 KiB. Returns how many bytes
 * it wrote to `OUTPUT`: blocks of which none is the last, ended at a byte.
 */
export function deflate(before: u32, size: u32): u32 {
  startOutput()
  forgetPositions()
  let position = ORIGIN
  const start = position + before
  const end = start + size
  store<u64>(BYTES + end, 0)
  for (; position < start; position++) remember(position)
  startBlocks(position)
  let fruitless: u32 = 0
  while (position < end) {
    const match = findMatchBefore(end, position, 0, ATTEMPTS)
    if (match === 0) {
      fruitless++
      const step = min<u32>(min<u32>(1 + (fruitless >>> PATIENCE_BITS), MAX_STEP), end - position)
      for (const next = position + step; position < next; position++) addLiteral(position)
    } else {
      fruitless = 0
      position = addBestMatch(position, match, end)
    }
    if (position >= unitEnd()) endUnit(position)
  }
  endUnit(end)
  endBlocks()
  return endOutput()
}

/** The match, or a longer one that starts a byte later, and so on. Returns the position after it. */
function addBestMatch(position: u32, match: u32, end: u32): u32 {
  let remembered = position + 1
  while (match >>> 16 < GOOD_LENGTH) {
    const length = match >>> 16
    const attempts: u32 = length >= FAIR_LENGTH ? (ATTEMPTS >>> 2) + 1 : (ATTEMPTS >>> 1) + 1
    const next = findMatchBefore(end, position + 1, length, attempts)
    remembered = position + 2
    if (next === 0) break
    addLiteral(position)
    position++
    match = next
  }
  addMatch(match >>> 16, match & 0xffff)
  const after = position + (match >>> 16)
  for (; remembered < after; remembered++) remember(remembered)
  return after
}

function findMatchBefore(end: u32, position: u32, longerThan: u32, attempts: u32): u32 {
  const limit = min<u32>(end - position, MAX_LENGTH)
  return limit < 3 || limit <= longerThan ? 0 : findMatch(position, limit, longerThan, attempts)
}
