/** Bits on their way to the output, the first one lowest (RFC 1951, section 3.1.1). */
import { OUTPUT } from './memory'

let at: usize = OUTPUT
let waiting: u64 = 0
let count: u32 = 0

export function startOutput(): void {
  at = OUTPUT
  waiting = 0
  count = 0
}

/** At most 57 bits between two calls of `writeBits`. */
export function addBits(bits: u32, length: u32): void {
  waiting |= (<u64>bits) << count
  count += length
}

/** Adds a code with its length, as `CODES` has it. */
export function addCode(code: u32): void {
  addBits(code & 0xffff, code >>> 16)
}

/** Whole bytes only: up to seven bits go on waiting. */
export function writeBits(): void {
  store<u64>(at, waiting)
  at += count >>> 3
  waiting >>>= count & 56
  count &= 7
}

/** A block of the bytes as they are, at most 65535 of them (RFC 1951, section 3.2.4). */
export function writeStored(from: usize, bytes: u32): void {
  addBits(0, 3)
  count = (count + 7) & ~7
  writeBits()
  store<u16>(at, <u16>bytes)
  store<u16>(at, <u16>~bytes, 2)
  memory.copy(at + 4, from, bytes)
  at += 4 + bytes
}

/** Returns how many bytes were written since the start, after filling up the last one with a block of nothing. */
export function endOutput(): u32 {
  if (count > 0) writeStored(at, 0)
  return <u32>(at - OUTPUT)
}
