import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { test } from 'node:test'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { compileAssembly } from '../../../../../scripts/deflate-source.ts'
import { DEFLATE_WASM } from '../../../../../src/oci/layer/deflate/deflate-wasm.ts'
import {
  BLOCK_BYTES,
  compileDeflate,
  createDeflater,
  DEFLATED_BYTES,
  WINDOW_BYTES,
} from '../../../../../src/oci/layer/deflate/deflater.ts'

const KIB = 1024
const deflate = createDeflater(compileDeflate())

/** A whole stream of one block after what came before it. */
function deflated(bytes: Buffer, window = Buffer.alloc(0)): Buffer {
  const output = Buffer.alloc(DEFLATED_BYTES)
  const input = Buffer.concat([window, bytes])
  const length = deflate({ input, before: window.length, size: bytes.length, output })
  return Buffer.concat([output.subarray(0, length), Buffer.from([3, 0])])
}

function noise(length: number, seed = 0): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length))
}

/** Words of a small language, in an order without sense. */
function text(length: number, seed = 0): Buffer<ArrayBuffer> {
  const letters = noise(4000, 200).map(byte => 97 + (byte % 26))
  let words = ''
  for (const byte of noise(length, seed)) {
    words += `${Buffer.from(letters.subarray(byte * 8, byte * 8 + 2 + (byte % 7))).toString()} `
    if (words.length >= length) break
  }
  return Buffer.from(words.slice(0, length))
}

/** Symbols of which each is about 1.6 times as frequent as the one before: their codes want to be very long. */
function skewed(length: number, symbols: number): Buffer {
  const random = noise(length * 4)
  const symbolOf = (index: number) => -Math.log(1 - random.readUInt32LE(index * 4) / 2 ** 32) / Math.log(1.6)
  return Buffer.from(Array.from({ length }, (_, index) => Math.min(symbols - 1, Math.floor(symbolOf(index)))))
}

/** How often each byte occurs in pieces that hardly seem smaller when coded, and are not, for all that their codes take. */
const COSTLY_COUNTS = Buffer.from(
  `DhEJDgYFExMFCQwcGgwYIwkVFBQUEBsSDggWCQ4IFxQRDQsFDRMNDhkPEBAWDxwcCRYXCQ4dGAwYHAUMAxsVCxgOGwEWHxISDQwaEwkVDBYLFg8GCBIY
   BQgSEA0FDwkGCw8WDBIOCQkREQwaGAIbChEMDBQWDBEOCQ0GDA8KHRkEIRQMExIOBQsRFAwbCwsVDgkNDxMTHQ8JDA8cEwwODAkHCRIJDx8KIAQXHAkf
   CAEVFBUSGg4QGwYRCQoMIw4EExcFEgUZDhMWDhkQCQoKBw0WBA4WBREbGBcTFxUNCgUJBxQOBgwKCAkbFBkWHgoLFwUKHQgTDxUSGgsXEBUVFA==`,
  'base64',
)

/** Such pieces of 4 KiB, each so unlike the one before that it gets codes of its own. */
function costly(length: number): Buffer {
  const pieces = Array.from({ length: length / 4096 }, (_, piece) => {
    const bytes = [...COSTLY_COUNTS].flatMap((count, byte) => Array(count).fill((byte + piece * 3) % 256))
    const keys = noise(4 * bytes.length, piece % 256)
    const keyed = bytes.map((byte, index) => [keys.readUInt32LE(4 * index), byte] as const)
    return Buffer.from(keyed.sort(([a], [b]) => a - b).map(([, byte]) => byte))
  })
  return Buffer.concat(pieces)
}

const inputs: readonly [name: string, bytes: Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('a')],
  ['two bytes', Buffer.from('ab')],
  ['three bytes', Buffer.from('aaa')],
  ['four bytes', Buffer.from('aaaa')],
  ['zeros', Buffer.alloc(BLOCK_BYTES)],
  ['two symbols', Buffer.from(noise(100_000).map(byte => byte & 1))],
  ['all bytes in turn', Buffer.from(Uint8Array.from({ length: 70_000 }, (_, index) => index % 256))],
  ['text', text(BLOCK_BYTES)],
  ['noise', noise(BLOCK_BYTES)],
  ['what gets larger, piece by piece', costly(BLOCK_BYTES)],
  ['symbols of very uneven frequency', skewed(300_000, 30)],
  ['the same noise as far back as a match can be', Buffer.concat([noise(32_767), noise(32_767)])],
  ['the same noise one byte too far back', Buffer.concat([noise(32_768), noise(32_768)])],
  [
    'text and noise in turn',
    Buffer.concat([0, 1, 2, 3, 4, 5, 6, 7].flatMap(seed => [text(5000, seed), noise(4000, seed)])),
  ],
]

for (const [name, bytes] of inputs) {
  test(`what deflate makes of ${name} inflates to the same`, () => {
    assert.ok(inflateRawSync(deflated(bytes)).equals(bytes))
    const window = text(WINDOW_BYTES, 9)
    const dictionary = { dictionary: window }
    assert.ok(inflateRawSync(deflated(bytes, window), dictionary).equals(bytes), 'after a window')
  })
}

test('what deflate makes of any length and mixture inflates to the same', () => {
  for (let seed = 1; seed <= 150; seed++) {
    const choice = noise(16, seed)
    const parts = [...choice.subarray(0, 6)].map((byte, index): Buffer => {
      const length = (byte * (choice[index + 6] ?? 0)) >> 2
      if (byte % 4 === 0) return noise(length, seed)
      if (byte % 4 === 1) return text(length, seed)
      return byte % 4 === 2
        ? Buffer.alloc(length, byte)
        : Buffer.from(noise(length, seed).map(b => b % ((byte >> 3) + 1)))
    })
    const bytes = Buffer.concat(parts)
    assert.ok(inflateRawSync(deflated(bytes)).equals(bytes), `seed ${seed}, ${bytes.length} bytes`)
  }
})

test('deflate makes text as small as zlib at level 6', () => {
  const bytes = text(BLOCK_BYTES)
  assert.ok(deflated(bytes).length <= deflateRawSync(bytes, { level: 6 }).length * 1.02)
})

test('deflate makes noise hardly larger', () => {
  assert.ok(deflated(noise(BLOCK_BYTES)).length <= BLOCK_BYTES * 1.0005)
})

test('deflate sees what compresses after, before and amid noise', () => {
  const words = text(16 * KIB)
  const header = Buffer.alloc(512, 'usr/share/pictures/picture.jpg')
  const mixtures: readonly [string, Buffer, least: number][] = [
    ['after', Buffer.concat([noise(100 * KIB), words]), 100 * KIB],
    ['before', Buffer.concat([words, noise(100 * KIB)]), 100 * KIB],
    ['amid', Buffer.concat([noise(60 * KIB), words, noise(60 * KIB, 1)]), 120 * KIB],
    [
      'headers',
      Buffer.concat([1, 2, 3, 4, 5, 6].flatMap(seed => [header, noise(20 * KIB, seed)])),
      120 * KIB,
    ],
  ]
  const alone = deflated(words).length
  for (const [name, bytes, least] of mixtures)
    assert.ok(
      deflated(bytes).length < least * 1.002 + (name === 'headers' ? 6 * 200 : alone * 1.1),
      `${name}: ${deflated(bytes).length}`,
    )
})

test('deflate makes the same of a block whatever came before it in other windows', () => {
  const bytes = text(100_000, 3)
  const expected = deflated(bytes)
  for (const [, other] of inputs) {
    deflated(other)
    assert.ok(deflated(bytes).equals(expected))
  }
})

test('the compiled deflate is what the compiler makes of its source', async () => {
  const same = (await compileAssembly()).equals(Buffer.from(DEFLATE_WASM, 'base64'))
  assert.ok(same, 'run bin/node scripts/build-deflate.ts')
})
