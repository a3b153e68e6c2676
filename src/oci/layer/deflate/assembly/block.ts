/**
 * Gathers matches and literals, and writes them as blocks with codes of their own (RFC 1951, section 3.2).
 *
 * They are gathered in units of some KiB. A unit joins the block before it unless the two cost less apart, by the
 * entropy of their symbols: so text after noise, or a table after code, starts a block. A block that would not be
 * smaller than its bytes is stored.
 */
import { addBits, addCode, writeBits, writeStored } from './bits'
import { makeCodes, nLogN } from './codes'
import { writeCodeLengths } from './header'
import {
  CODE_LENGTHS,
  CODES,
  DISTANCE_BASES,
  DISTANCE_EXTRA_BITS,
  DISTANCES,
  DISTANCES_FROM,
  distanceSlot,
  END_OF_BLOCK,
  FREQUENCIES,
  LENGTH_BASES,
  LENGTH_EXTRA_BITS,
  LENGTH_SYMBOLS,
  LENGTHS_END,
  LENGTHS_FROM,
  MATCHES,
  SYMBOLS,
  UNIT_FREQUENCIES,
} from './memory'
import { BYTES, MAX_LENGTH } from './search'

const UNIT_BYTES: u32 = 4096
/** Both of them as a stored block. */
const MAX_BLOCK_BYTES: u32 = 65535 - UNIT_BYTES - MAX_LENGTH
/** What the codes of a block take, about. */
const HEADER_BITS: u32 = 500
const LONGEST_CODE: u32 = 15

let blockStart: u32 = 0
let unitStart: u32 = 0
/** After the last match. */
let matches: usize = MATCHES
/** Literals since the last match. */
let literals: u32 = 0
/** The two as they were where the unit started. */
let matchesBefore: usize = MATCHES
let literalsBefore: u32 = 0

export function startBlocks(position: u32): void {
  memory.fill(FREQUENCIES, 0, SYMBOLS << 2)
  memory.fill(UNIT_FREQUENCIES, 0, SYMBOLS << 2)
  blockStart = position
  startUnit(position)
  matches = matchesBefore = MATCHES
  literals = literalsBefore = 0
}

function startUnit(position: u32): void {
  unitStart = position
  matchesBefore = matches
  literalsBefore = literals
}

export function addLiteral(position: u32): void {
  countSymbol(UNIT_FREQUENCIES, load<u8>(BYTES + position))
  literals++
}

export function addMatch(length: u32, distance: u32): void {
  store<u32>(matches, literals)
  store<u16>(matches, <u16>length, 4)
  store<u16>(matches, <u16>distance, 6)
  matches += 8
  literals = 0
  countSymbol(UNIT_FREQUENCIES, LENGTHS_FROM + load<u8>(LENGTH_SYMBOLS + length))
  countSymbol(UNIT_FREQUENCIES, DISTANCES_FROM + load<u8>(distanceSlot(distance)))
}

function countSymbol(frequencies: usize, symbol: u32): void {
  const place = frequencies + (symbol << 2)
  store<u32>(place, load<u32>(place) + 1)
}

/** Where the unit is to end. */
export function unitEnd(): u32 {
  return unitStart + UNIT_BYTES
}

/** Ends the unit at the position up to which all was added. */
export function endUnit(position: u32): void {
  const isFirst = unitStart === blockStart
  if (!isFirst && (position - blockStart > MAX_BLOCK_BYTES || costsLessApart())) {
    writeBlock(unitStart, matchesBefore, literalsBefore)
    const bytes = matches - matchesBefore
    memory.copy(MATCHES, matchesBefore, bytes)
    matches = MATCHES + bytes
    if (bytes > 0) store<u32>(MATCHES, load<u32>(MATCHES) - literalsBefore)
    else literals -= literalsBefore
    memory.fill(FREQUENCIES, 0, SYMBOLS << 2)
    blockStart = unitStart
  }
  for (let at: usize = 0; at < SYMBOLS << 2; at += 4)
    store<u32>(FREQUENCIES + at, load<u32>(FREQUENCIES + at) + load<u32>(UNIT_FREQUENCIES + at))
  memory.fill(UNIT_FREQUENCIES, 0, SYMBOLS << 2)
  startUnit(position)
}

/** Writes what is left of the block, whose last unit has ended. */
export function endBlocks(): void {
  if (unitStart > blockStart) writeBlock(unitStart, matches, literals)
}

function costsLessApart(): boolean {
  let saved = savedApart(0, DISTANCES_FROM)
  saved += savedApart(DISTANCES_FROM, SYMBOLS)
  return saved > <i64>(HEADER_BITS << 12)
}

/** By how much these symbols of block and unit cost less with codes of their own, in 1/4096 bits, without headers. */
function savedApart(from: u32, to: u32): i64 {
  let saved: u64 = 0
  let inBlock: u32 = 0
  let inUnit: u32 = 0
  for (let at: usize = from << 2; at < to << 2; at += 4) {
    const a = load<u32>(FREQUENCIES + at)
    const b = load<u32>(UNIT_FREQUENCIES + at)
    inBlock += a
    inUnit += b
    if (a !== 0 && b !== 0) saved += nLogN(a) + nLogN(b) - nLogN(a + b)
  }
  return <i64>(saved + nLogN(inBlock + inUnit) - nLogN(inBlock) - nLogN(inUnit))
}

/** Writes the bytes from the start of the block: the matches up to `last`, then literals. */
function writeBlock(end: u32, last: usize, finalLiterals: u32): void {
  const bytes = end - blockStart
  store<u32>(FREQUENCIES + (END_OF_BLOCK << 2), 1)
  if (leastBits() < (<u64>bytes) << 3 && codedBits() < (<u64>bytes) << 3) writeCoded(last, finalLiterals)
  else writeStored(BYTES + blockStart, bytes)
}

/** Makes the codes. */
function codedBits(): u64 {
  makeCodes(FREQUENCIES, LENGTHS_END, LONGEST_CODE, CODE_LENGTHS, CODES)
  const distances = DISTANCES_FROM << 2
  const lengths = CODE_LENGTHS + DISTANCES_FROM
  makeCodes(FREQUENCIES + distances, DISTANCES, LONGEST_CODE, lengths, CODES + distances)
  let bits: u64 = extraBits() + HEADER_BITS
  for (let symbol: u32 = 0; symbol < SYMBOLS; symbol++)
    bits += load<u32>(FREQUENCIES + (symbol << 2)) * <u32>load<u8>(CODE_LENGTHS + symbol)
  return bits
}

function writeCoded(last: usize, finalLiterals: u32): void {
  writeCodeLengths()
  let from = BYTES + blockStart
  for (let match: usize = MATCHES; match < last; match += 8) {
    from = writeLiterals(from, load<u32>(match))
    const length = <u32>load<u16>(match, 4)
    writeMatch(length, load<u16>(match, 6))
    from += length
  }
  writeLiterals(from, finalLiterals)
  addCode(load<u32>(CODES + (END_OF_BLOCK << 2)))
  writeBits()
}

/** The entropy of the symbols, their extra bits, and some for the codes: what no code gets below. */
function leastBits(): u64 {
  let symbols: u32 = 0
  let saved: u64 = 0
  for (let at: usize = FREQUENCIES; at < FREQUENCIES + (DISTANCES_FROM << 2); at += 4) {
    symbols += load<u32>(at)
    saved += nLogN(load<u32>(at))
  }
  let distances: u32 = 0
  for (let at: usize = FREQUENCIES + (DISTANCES_FROM << 2); at < FREQUENCIES + (SYMBOLS << 2); at += 4) {
    distances += load<u32>(at)
    saved += nLogN(load<u32>(at))
  }
  return ((nLogN(symbols) + nLogN(distances) - saved) >>> 12) + extraBits() + (HEADER_BITS >>> 1)
}

function extraBits(): u64 {
  let bits: u32 = 0
  for (let symbol: u32 = 0; symbol < LENGTHS_END - LENGTHS_FROM; symbol++)
    bits +=
      load<u32>(FREQUENCIES + ((LENGTHS_FROM + symbol) << 2)) * <u32>load<u8>(LENGTH_EXTRA_BITS + symbol)
  for (let symbol: u32 = 0; symbol < DISTANCES; symbol++)
    bits +=
      load<u32>(FREQUENCIES + ((DISTANCES_FROM + symbol) << 2)) * <u32>load<u8>(DISTANCE_EXTRA_BITS + symbol)
  return bits
}

function writeLiterals(from: usize, count: u32): usize {
  const end = from + count
  for (; from + 3 <= end; from += 3) {
    addCode(codeOfByte(from))
    addCode(codeOfByte(from + 1))
    addCode(codeOfByte(from + 2))
    writeBits()
  }
  for (; from < end; from++) addCode(codeOfByte(from))
  writeBits()
  return end
}

function codeOfByte(at: usize): u32 {
  return load<u32>(CODES + ((<usize>load<u8>(at)) << 2))
}

function writeMatch(length: u32, distance: u32): void {
  const lengthSymbol = <u32>load<u8>(LENGTH_SYMBOLS + length)
  addCode(load<u32>(CODES + ((LENGTHS_FROM + lengthSymbol) << 2)))
  addBits(length - load<u16>(LENGTH_BASES + (lengthSymbol << 1)), load<u8>(LENGTH_EXTRA_BITS + lengthSymbol))
  const distanceSymbol = <u32>load<u8>(distanceSlot(distance))
  addCode(load<u32>(CODES + ((DISTANCES_FROM + distanceSymbol) << 2)))
  addBits(
    distance - load<u16>(DISTANCE_BASES + (distanceSymbol << 1)),
    load<u8>(DISTANCE_EXTRA_BITS + distanceSymbol),
  )
  writeBits()
}
