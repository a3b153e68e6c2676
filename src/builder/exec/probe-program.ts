/**
 * The smallest program: a static ELF executable that exits with 0. With it a runtime is tried on a root filesystem
 * that holds nothing else.
 */

const BASE = 0x400000
const CODE_OFFSET = 64 + 56

const MACHINES: Readonly<Record<string, { readonly machine: number; readonly code: readonly number[] }>> = {
  // xor edi, edi; mov eax, 60; syscall
  x64: { machine: 62, code: [0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05] },
  // mov x0, #0; mov x8, #93; svc #0
  arm64: { machine: 183, code: [0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4] },
}

/** @param machine as `os.arch()` names it; undefined for one that is not known */
export function probeProgram(machine: string): Buffer | undefined {
  const known = MACHINES[machine]
  if (known === undefined) return undefined
  const size = CODE_OFFSET + known.code.length
  const file = Buffer.alloc(size)
  // ELF header: 64 bit, little endian, version 1, executable, one program header right after this one.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  file.writeUInt16LE(2, 16)
  file.writeUInt16LE(known.machine, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(BigInt(BASE + CODE_OFFSET), 24)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(64, 52)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(1, 56)
  // Program header: load the whole file, readable and executable.
  file.writeUInt32LE(1, 64)
  file.writeUInt32LE(5, 68)
  file.writeBigUInt64LE(BigInt(BASE), 80)
  file.writeBigUInt64LE(BigInt(BASE), 88)
  file.writeBigUInt64LE(BigInt(size), 96)
  file.writeBigUInt64LE(BigInt(size), 104)
  file.writeBigUInt64LE(0x1000n, 112)
  file.set(known.code, CODE_OFFSET)
  return file
}
