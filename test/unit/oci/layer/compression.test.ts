import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { constants, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { createCompress } from '../../../../src/oci/layer/compression.ts'
import { decompress, detectCompression, sniffCompression } from '../../../../src/oci/layer/decompression.ts'
import { ZstdFrameCutter } from '../../../../src/oci/layer/zstd-frames.ts'
import type { Compression } from '../../../../src/oci/media-type.ts'
import { createDeflateThreads } from '../../../../src/store/deflate-threads.ts'
import { collect, inChunks, pipeThrough } from '../tar-bytes.ts'

const MIB = 1024 ** 2
const compress = createCompress(createDeflateThreads(2))
const ALL: readonly Compression[] = ['none', 'gzip', 'zstd']

/** Bytes that compress to about half, the same each time. */
function sample(size: number): Buffer {
  const blocks: Buffer[] = []
  for (let index = 0; blocks.length * 64 < size; index++) {
    const noise = createHash('sha256').update(String(index)).digest()
    blocks.push(Buffer.concat([noise, Buffer.from('the same words in every block...')]))
  }
  return Buffer.concat(blocks).subarray(0, size)
}

const large = sample(4 * MIB + 123_456)
const sizes = [0, 1, 100, 512 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, large.length]

for (const compression of ALL) {
  test(`decompress() returns what compress() took, by ${compression}`, async () => {
    for (const size of sizes) {
      const bytes = large.subarray(0, size)
      const compressed = await collect(compress(inChunks(bytes, 100_000), compression))
      assert.ok(
        (await collect(decompress(inChunks(compressed, 70_001), compression))).equals(bytes),
        `${size} bytes`,
      )
    }
  })

  test(`compress() by ${compression} makes the same bytes of any chunks`, async () => {
    const bytes = large
    const expected = await collect(compress(inChunks(bytes), compression))
    for (const size of [4097, 512 * 1024, MIB + 1])
      assert.ok(
        (await collect(compress(inChunks(bytes, size), compression))).equals(expected),
        `chunks of ${size}`,
      )
  })
}

test('what zstd makes of much that is alike does not hold the room that it had', async () => {
  assert.ok((await heldBytes(compress(inChunks(Buffer.alloc(32 * MIB), MIB), 'zstd'))) < MIB)
})

test('gzip makes its chunks in the memory of a few blocks', async () => {
  assert.ok((await heldBytes(compress(inChunks(Buffer.alloc(32 * MIB), MIB), 'gzip'))) < 4 * MIB)
})

async function heldBytes(chunks: AsyncIterable<Buffer>): Promise<number> {
  const held = new Set<ArrayBufferLike>()
  for await (const chunk of chunks) held.add(chunk.buffer)
  return [...held].reduce((sum, { byteLength }) => sum + byteLength, 0)
}

test('gzip output is the same by any number of threads', async () => {
  const expected = await collect(createCompress(createDeflateThreads(1))(inChunks(large, 70_000), 'gzip'))
  for (const threads of [2, 4])
    assert.ok(
      (await collect(createCompress(createDeflateThreads(threads))(inChunks(large), 'gzip'))).equals(
        expected,
      ),
    )
})

test('gzip layers that are compressed at once do not disturb each other', async () => {
  const inputs = [large, large.subarray(1000), sample(3 * MIB), large.subarray(0, 700_000)]
  const outputs = await Promise.all(inputs.map(bytes => collect(compress(inChunks(bytes, 100_000), 'gzip'))))
  for (const [index, bytes] of inputs.entries())
    assert.ok(gunzipSync(outputs[index] ?? '').equals(bytes), `input ${index}`)
})

test('gzip output has the level that was asked for', async () => {
  const sizes: number[] = []
  for (const level of [0, 1, 9]) {
    const compressed = await collect(compress(inChunks(large), 'gzip', level))
    assert.ok(gunzipSync(compressed).equals(large))
    sizes.push(compressed.length)
  }
  const [stored = 0, fast = 0, best = 0] = sizes
  assert.ok(stored > large.length && fast > best, sizes.join())
})

test('gzip output is one member without time or name, as gzip itself reads it', async () => {
  const compressed = await collect(compress(inChunks(large), 'gzip'))
  assert.equal(compressed.subarray(0, 10).toString('hex'), '1f8b08000000000000ff')
  assert.ok(gunzipSync(compressed).equals(large))
  assert.ok((await pipeThrough(['gzip', '-dc'], compressed)).equals(large))
  const members = `import sys, zlib; d = zlib.decompressobj(31); d.decompress(sys.stdin.buffer.read()); print(d.eof, len(d.unused_data))`
  assert.equal((await pipeThrough(['python3', '-c', members], compressed)).toString(), 'True 0\n')
})

test('gzip output is hardly larger than that of one thread', async () => {
  const compressed = await collect(compress(inChunks(large), 'gzip'))
  assert.ok(compressed.length < gzipSync(large, { level: 6 }).length * 1.01)
})

test('zstd itself reads zstd output, of nothing as well', async () => {
  for (const bytes of [large, Buffer.alloc(0)]) {
    const compressed = await collect(compress(inChunks(bytes), 'zstd'))
    assert.ok((await pipeThrough(['zstd', '-dcq'], compressed)).equals(bytes))
  }
})

const words = Buffer.from('some words')
const skippable = Buffer.from('5a2a4d1803000000aabbcc', 'hex')
const readable: readonly [name: string, compression: Compression, bytes: Buffer, want: Buffer][] = [
  [
    'several gzip members',
    'gzip',
    Buffer.concat([gzipSync(words), gzipSync(words)]),
    Buffer.concat([words, words]),
  ],
  ['an empty gzip member', 'gzip', gzipSync(''), Buffer.alloc(0)],
  [
    'several zstd frames',
    'zstd',
    Buffer.concat([
      zstdCompressSync(words),
      zstdCompressSync(''),
      zstdCompressSync(Buffer.alloc(300_000, 'abc')),
    ]),
    Buffer.concat([words, Buffer.alloc(300_000, 'abc')]),
  ],
  [
    'zstd frames that are to be skipped',
    'zstd',
    Buffer.concat([skippable, zstdCompressSync(words), skippable, zstdCompressSync(words), skippable]),
    Buffer.concat([words, words]),
  ],
]
for (const [name, compression, bytes, want] of readable) {
  test(`decompress() reads ${name}, however cut`, async () => {
    for (const size of [1, 7, 1000, bytes.length])
      assert.ok(
        (await collect(decompress(inChunks(bytes, size), compression))).equals(want),
        `chunks of ${size}`,
      )
  })
}

test('decompress() reads what gzip, zstd and its long-distance form write', async () => {
  assert.ok(
    (await collect(decompress(inChunks(await pipeThrough(['gzip', '-c'], large)), 'gzip'))).equals(large),
  )
  for (const command of [
    ['zstd', '-qc', '-1'],
    ['zstd', '-qc', '-9', '--long=24', '--no-check'],
  ])
    assert.ok(
      (await collect(decompress(inChunks(await pipeThrough(command, large), 9999), 'zstd'))).equals(large),
    )
})

const gzipped = gzipSync(large.subarray(0, 3000))
const zstded = zstdCompressSync(large.subarray(0, 3000), { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
const flipped = (bytes: Buffer, at: number) => {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 0x55, at)
  return copy
}
const corrupt: readonly [name: string, compression: Compression, bytes: Buffer][] = [
  ['nothing as gzip', 'gzip', Buffer.alloc(0)],
  ['nothing as zstd', 'zstd', Buffer.alloc(0)],
  ['plain bytes as gzip', 'gzip', words],
  ['plain bytes as zstd', 'zstd', words],
  ['gzip with a wrong checksum', 'gzip', flipped(gzipped, gzipped.length - 6)],
  ['gzip with a wrong length', 'gzip', flipped(gzipped, gzipped.length - 2)],
  ['gzip with a changed body', 'gzip', flipped(gzipped, 200)],
  ['gzip followed by words', 'gzip', Buffer.concat([gzipped, words])],
  ['gzip followed by zeros', 'gzip', Buffer.concat([gzipped, Buffer.alloc(100)])],
  ['gzip followed by zeros and a member', 'gzip', Buffer.concat([gzipped, Buffer.alloc(1), gzipped])],
  ['gzip followed by half a member', 'gzip', Buffer.concat([gzipped, gzipped.subarray(0, 100)])],
  ['zstd with a changed body', 'zstd', flipped(zstded, 200)],
  ['zstd followed by words', 'zstd', Buffer.concat([zstded, words])],
  ['zstd followed by zeros', 'zstd', Buffer.concat([zstded, Buffer.alloc(100)])],
  ['zstd followed by half a frame', 'zstd', Buffer.concat([zstded, zstded.subarray(0, 100)])],
  ['zstd followed by half a skippable frame', 'zstd', Buffer.concat([zstded, skippable.subarray(0, 9)])],
]
for (const [name, compression, bytes] of corrupt) {
  test(`decompress() refuses ${name}`, async () => {
    for (const size of [1, bytes.length || 1])
      await assert.rejects(collect(decompress(inChunks(bytes, size), compression)), { code: 'layer-invalid' })
  })
}

test('decompress() refuses gzip and zstd that are cut off anywhere', async () => {
  const short = large.subarray(0, 60)
  for (const [compression, bytes] of [
    ['gzip', gzipSync(short)],
    ['zstd', zstdCompressSync(short)],
  ] as const)
    for (let length = 0; length < bytes.length; length++)
      await assert.rejects(
        collect(decompress(inChunks(bytes.subarray(0, length)), compression)),
        { code: 'layer-invalid' },
        `${compression} cut after ${length} bytes`,
      )
})

/** A source that fails after some bytes, and tells whether it was closed. */
function failing(bytes: Buffer) {
  const failure = new Error('connection lost')
  const state = { isClosed: false, failure }
  async function* source() {
    try {
      for (const chunk of [bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)])
        yield chunk
      throw failure
    } finally {
      state.isClosed = true
    }
  }
  return { state, source: source() }
}

test('decompress() closes a source that goes on after the compressed bytes', async () => {
  for (const tail of [Buffer.alloc(10), words]) {
    let isClosed = false
    async function* endless() {
      try {
        for (yield gzipped; ; yield tail) await new Promise(setImmediate)
      } finally {
        isClosed = true
      }
    }
    await assert.rejects(collect(decompress(endless(), 'gzip')), { code: 'layer-invalid' })
    for (let turn = 0; turn < 100 && !isClosed; turn++) await new Promise(setImmediate)
    assert.ok(isClosed)
  }
})

for (const compression of ALL) {
  test(`an error of the source comes through compress() and decompress() by ${compression}`, async () => {
    const reading = failing(large)
    await assert.rejects(
      collect(compress(reading.source, compression)),
      error => error === reading.state.failure,
    )
    const half = failing((await collect(compress(inChunks(large), compression))).subarray(0, 100_000))
    await assert.rejects(collect(decompress(half.source, compression)), error => error === half.state.failure)
  })

  test(`compress() by ${compression} reads a few blocks ahead, and closes its source when the consumer stops`, async () => {
    let read = 0
    let isClosed = false
    async function* endless() {
      try {
        for (; ; read += MIB) yield large.subarray(0, MIB)
      } finally {
        isClosed = true
      }
    }
    let chunks = 0
    for await (const _chunk of compress(endless(), compression)) if (++chunks === 3) break
    assert.ok(isClosed)
    assert.ok(read <= 32 * MIB, `${read} bytes were read`)
  })

  test(`decompress() by ${compression} closes its source when the consumer stops`, async () => {
    const reading = failing(await collect(compress(inChunks(large), compression)))
    for await (const _chunk of decompress(reading.source, compression)) break
    await new Promise(setImmediate)
    assert.ok(reading.state.isClosed)
  })
}

test('ZstdFrameCutter refuses blocks of the reserved type', () => {
  const frame = Buffer.from('28b52ffd000007000000', 'hex')
  assert.throws(() => [...new ZstdFrameCutter().cut(frame)], { code: 'layer-invalid', message: /type/ })
})

const heads: readonly [hex: string, kind: string][] = [
  ['1f8b0800', 'gzip'],
  ['28b52ffd', 'zstd'],
  ['502a4d18', 'zstd'],
  ['5f2a4d18', 'zstd'],
  ['602a4d18', 'none'],
  ['fd377a585a00', 'xz'],
  ['425a6839', 'bzip2'],
  ['1f8b', 'none'],
  ['', 'none'],
  ['6574632f', 'none'],
]
for (const [hex, kind] of heads) {
  test(`detectCompression() takes ${hex === '' ? 'nothing' : hex} for ${kind}`, () => {
    assert.equal(detectCompression(Buffer.from(hex, 'hex')), kind)
  })
}

test('sniffCompression() gives the stream whole, however small its chunks', async () => {
  const bytes = gzipSync('content')
  const { compression, isEmpty, whole } = await sniffCompression(bytewise(bytes))
  assert.deepEqual({ compression, isEmpty }, { compression: 'gzip', isEmpty: false })
  assert.deepEqual(Buffer.concat(await Array.fromAsync(whole)), bytes)
})

test('sniffCompression() tells a stream of nothing', async () => {
  const { compression, isEmpty, whole } = await sniffCompression(bytewise(Buffer.alloc(0)))
  assert.deepEqual({ compression, isEmpty }, { compression: 'none', isEmpty: true })
  assert.deepEqual(await Array.fromAsync(whole), [])
})

test('sniffCompression() ends its source when the stream is left early', async () => {
  let isEnded = false
  async function* source() {
    try {
      yield* bytewise(Buffer.alloc(100))
    } finally {
      isEnded = true
    }
  }
  const { whole } = await sniffCompression(source())
  for await (const _ of whole) break
  assert.equal(isEnded, true)
})

async function* bytewise(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1)
}
