/** Device numbers as glibc splits them: `makedev`, `major` and `minor`. */

export function deviceNumber(major: number, minor: number): bigint {
  const [maj, min] = [BigInt(major), BigInt(minor)]
  return (min & 0xffn) | ((maj & 0xfffn) << 8n) | ((min & ~0xffn) << 12n) | ((maj & ~0xfffn) << 32n)
}

export function deviceMajor(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn))
}

export function deviceMinor(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & ~0xffn))
}
