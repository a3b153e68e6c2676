/** The codes of a block, told by their lengths (RFC 1951, section 3.2.7). */
import { addBits, addCode, writeBits } from './bits'
import { makeCodes } from './codes'
import {
  CODE_LENGTHS,
  DISTANCES,
  DISTANCES_FROM,
  HEADER_CODE_LENGTHS,
  HEADER_CODES,
  HEADER_FREQUENCIES,
  HEADER_SYMBOLS,
  LENGTHS_END,
  LENGTHS_FROM,
} from './memory'

/** The alphabet: lengths up to 15, the one before 3 to 6 times, 0 for 3 to 10 times, 0 for 11 to 138 times. */
const REPEAT: u32 = 16
const ZEROS: u32 = 17
const MANY_ZEROS: u32 = 18
const ALPHABET: u32 = 19
const LONGEST_CODE: u32 = 7

const ORDER = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15])
const EXTRA_BITS = memory.data<u8>([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7])

/** After the last of `HEADER_SYMBOLS`. */
let symbols: usize = HEADER_SYMBOLS

/** Begins a block, not the last one of the stream, with the codes of `CODE_LENGTHS`. */
export function writeCodeLengths(): void {
  const lengths = withoutZeros(0, LENGTHS_END, LENGTHS_FROM)
  const distances = withoutZeros(DISTANCES_FROM, DISTANCES, 1)
  memory.copy(CODE_LENGTHS + lengths, CODE_LENGTHS + DISTANCES_FROM, distances)
  gatherSymbols(lengths + distances)
  makeCodes(HEADER_FREQUENCIES, ALPHABET, LONGEST_CODE, HEADER_CODE_LENGTHS, HEADER_CODES)
  let count = ALPHABET
  while (lengthOfHeaderCode(count - 1) === 0) count--
  addBits(2 << 1, 3)
  addBits(lengths - LENGTHS_FROM, 5)
  addBits(distances - 1, 5)
  addBits(count - 4, 4)
  writeBits()
  for (let i: u32 = 0; i < count; i++) {
    addBits(lengthOfHeaderCode(i), 3)
    writeBits()
  }
  for (let at: usize = HEADER_SYMBOLS; at < symbols; at += 2) {
    const symbol = <u32>load<u8>(at)
    addCode(load<u32>(HEADER_CODES + (symbol << 2)))
    addBits(load<u8>(at, 1), load<u8>(EXTRA_BITS + symbol))
    writeBits()
  }
}

function withoutZeros(from: u32, count: u32, least: u32): u32 {
  while (count > least && load<u8>(CODE_LENGTHS + from + count - 1) === 0) count--
  return count
}

function lengthOfHeaderCode(index: u32): u32 {
  return load<u8>(HEADER_CODE_LENGTHS + load<u8>(ORDER + index))
}

function gatherSymbols(count: u32): void {
  memory.fill(HEADER_FREQUENCIES, 0, ALPHABET << 2)
  symbols = HEADER_SYMBOLS
  for (let at: u32 = 0; at < count; ) {
    const length = <u32>load<u8>(CODE_LENGTHS + at)
    let left: u32 = 1
    while (at + left < count && load<u8>(CODE_LENGTHS + at + left) === length) left++
    at += left
    if (length === 0) {
      left = repeated(MANY_ZEROS, 11, 138, left)
      left = repeated(ZEROS, 3, 10, left)
    } else {
      addSymbol(length, 0)
      left = repeated(REPEAT, 3, 6, left - 1)
    }
    for (; left > 0; left--) addSymbol(length, 0)
  }
}

/** Returns how many are left. */
function repeated(symbol: u32, least: u32, most: u32, left: u32): u32 {
  while (left >= least) {
    const count = min<u32>(left, most)
    addSymbol(symbol, count - least)
    left -= count
  }
  return left
}

function addSymbol(symbol: u32, extra: u32): void {
  store<u8>(symbols, <u8>symbol)
  store<u8>(symbols, <u8>extra, 1)
  symbols += 2
  const place = HEADER_FREQUENCIES + (symbol << 2)
  store<u32>(place, load<u32>(place) + 1)
}
