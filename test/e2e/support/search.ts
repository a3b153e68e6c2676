import { createReadStream, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { isErrno } from '../../../src/oci/errors.ts'

/** Bytes by which a secret would be known, with a name for each. */
export type Needles = ReadonlyMap<string, Buffer>

/** As it is, in hexadecimal, and in base64 wherever in a longer text it stands. */
export function needlesOf(name: string, secret: string): Needles {
  const bytes = Buffer.from(secret)
  const found = new Map([
    [name, bytes],
    [`${name} in hexadecimal`, Buffer.from(bytes.toString('hex'))],
  ])
  for (const before of [0, 1, 2]) {
    // Its ends are mixed with what stands around.
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64url')
    const inner = text.slice(before === 0 ? 0 : 4, Math.floor((before + bytes.length) / 3) * 4)
    found.set(`${name} in base64 (${before})`, Buffer.from(inner))
  }
  return found
}

/** Which needles stand in the bytes. */
export function findIn(bytes: Buffer, needles: Needles): readonly string[] {
  // Base64 for URLs and the common one differ in two characters.
  const plain = Buffer.from(bytes.toString('latin1').replaceAll('+', '-').replaceAll('/', '_'), 'latin1')
  return [...needles]
    .filter(([, needle]) => bytes.includes(needle) || plain.includes(needle))
    .map(([name]) => name)
}

/** Files of a folder that hold a needle, also after they were unpacked from gzip or zstd. */
export async function searchFolder(folder: string, needles: Needles): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    for (const bytes of await readAsIsAndUnpacked(path))
      for (const name of findIn(bytes, needles)) found.push(`${name} in ${path}`)
  }
  return found
}

const GZIP = Buffer.from([0x1f, 0x8b])
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

async function readAsIsAndUnpacked(path: string): Promise<readonly Buffer[]> {
  const bytes = readIfThere(path)
  if (bytes.subarray(0, 2).equals(GZIP)) return [bytes, await unpack(path, createGunzip())]
  if (bytes.subarray(0, 4).equals(ZSTD)) return [bytes, await unpack(path, createZstdDecompress())]
  return [bytes]
}

async function unpack(
  path: string,
  unpacking: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  await pipeline(createReadStream(path), unpacking, async source => {
    for await (const chunk of source) chunks.push(chunk)
  })
  return Buffer.concat(chunks)
}

/** A file or process that ends meanwhile is empty, and so is what has no content, such as a namespace with a name. */
export function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EINVAL')) return Buffer.alloc(0)
    throw error
  }
}
