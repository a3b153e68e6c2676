/** Data that is the same on every machine: words and noise, which gzip makes a third smaller. */
import { createCipheriv, createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const MB = 1024 * 1024
const POOL_BYTES = 4 * MB
const FILES_OF_A_FOLDER = 100

/** An endless row of bytes that depends on nothing but the seed. */
export function createNoise(seed: string): (length: number) => Buffer {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  return length => cipher.update(Buffer.alloc(length))
}

/** Half words, half noise, in pieces of 4 KiB. */
export function seededBytes(seed: string, length: number): Buffer {
  const noise = createNoise(seed)
  const words = Array.from({ length: 512 }, (_, index) => noise(3 + (index % 9)).toString('base64url'))
  const pieces: Buffer[] = []
  for (let made = 0; made < length; made += 8192) {
    const order = noise(1024)
    let text = ''
    for (let at = 0; text.length < 4096; at += 2) text += `${words[order.readUInt16LE(at % 1022) % 512]} `
    pieces.push(Buffer.from(text.slice(0, 4096)), noise(4096))
  }
  return Buffer.concat(pieces).subarray(0, length)
}

/** Files of one size in folders of a hundred. */
export function makeFiles(folder: string, files: number, totalBytes: number, seed: string): void {
  const pool = seededBytes(seed, POOL_BYTES)
  const size = Math.max(1, Math.floor(totalBytes / files))
  const noise = createNoise(`${seed} offsets`)
  for (let number = 0; number < files; number++) {
    const parent = join(folder, `d${Math.floor(number / FILES_OF_A_FOLDER)}`)
    if (number % FILES_OF_A_FOLDER === 0) mkdirSync(parent, { recursive: true })
    const start = noise(4).readUInt32LE() % Math.max(1, POOL_BYTES - size)
    const head = Buffer.from(`${seed} ${number}\n`)
    writeFileSync(
      join(parent, `f${number}`),
      Buffer.concat([head, pool.subarray(start, start + size)]).subarray(0, size),
    )
  }
}

/** One large file, no part of which is like another. */
export function makeLargeFile(file: string, bytes: number, seed: string): void {
  const descriptor = openSync(file, 'w')
  try {
    for (let written = 0; written < bytes; written += POOL_BYTES) {
      const piece = seededBytes(`${seed} ${written}`, Math.min(POOL_BYTES, bytes - written))
      writeSync(descriptor, piece)
    }
  } finally {
    closeSync(descriptor)
  }
}
