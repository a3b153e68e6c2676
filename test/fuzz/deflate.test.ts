import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, inflateRawSync } from 'node:zlib'
import { createCompress } from '../../src/oci/layer/compression.ts'
import {
  BLOCK_BYTES,
  compileDeflate,
  createDeflater,
  DEFLATED_BYTES,
  WINDOW_BYTES,
} from '../../src/oci/layer/deflate/deflater.ts'
import { createDeflateThreads } from '../../src/store/deflate-threads.ts'
import { createRandom, type Random, rounds, SEED_NOTE } from './support/random.ts'

const deflate = createDeflater(compileDeflate())
const output = Buffer.alloc(DEFLATED_BYTES)

/** Compares without telling the difference of megabytes. */
function assertInflates(input: Buffer, before: number, what: string): void {
  const length = deflate({ input, before, size: input.length - before, output })
  const whole = Buffer.concat([output.subarray(0, length), Buffer.from([3, 0])])
  const inflated = inflateRawSync(whole, before === 0 ? {} : { dictionary: input.subarray(0, before) })
  assert.ok(
    inflated.equals(input.subarray(before)),
    `${what}: ${input.length - before} bytes after ${before}, ${SEED_NOTE}`,
  )
}

/** At and around where a match, a unit, a window and a block end. */
const EDGES = [0, 3, 8, 256, 258, 4096, 32 * 1024, 65_535]

function nearEdge(random: Random): number {
  return Math.max(0, random.pick(EDGES) + random.below(7) - 3)
}

type Fill = (random: Random, bytes: Buffer, from: number, to: number) => void

const noise: Fill = (random, bytes, from, to) => {
  for (let at = from; at < to; at++) bytes[at] = random.below(256)
}

const run: Fill = (random, bytes, from, to) => void bytes.fill(random.below(256), from, to)

const fewSymbols: Fill = (random, bytes, from, to) => {
  const symbols = 1 + random.below(1 + random.below(40))
  for (let at = from; at < to; at++) bytes[at] = random.below(symbols) * 7
}

/** What was there before at one distance, as the start and the end of the window see it, with some of it changed. */
const repeat: Fill = (random, bytes, from, to) => {
  const distance = random.below(2) === 0 ? 1 + random.below(from || 1) : Math.max(1, nearEdge(random))
  const faults = random.below(3) === 0 ? 2 + random.below(300) : Infinity
  for (let at = from; at < to; at++)
    bytes[at] =
      distance > at || random.below(faults === Infinity ? 2 ** 31 : faults) === 0
        ? random.below(256)
        : (bytes[at - distance] ?? 0)
}

/** Symbols drawn with the given weights, which stand for other bytes each time. */
function weighted(weights: readonly number[]): Fill {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const table = weights.flatMap((weight, index) =>
    Array<number>(Math.round((weight / total) * 65_536)).fill(index * 67),
  )
  return (random, bytes, from, to) => {
    const first = random.below(256)
    for (let at = from; at < to; at++) bytes[at] = first + (table[random.below(table.length)] ?? 0)
  }
}

const FIBONACCI = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233]
/** The rare ones of these symbols want codes of 20 bits; the frequent ones are too many for matches. */
const RARE_SYMBOLS = [...FIBONACCI, ...Array<number>(140).fill(400)]
/** Codes of 2 bits for one symbol, of 3 for one, of 4 for two and so on: the codes of their lengths want to be long. */
const FIBONACCI_LENGTHS = FIBONACCI.slice(0, 9).flatMap((count, index) =>
  Array<number>(count).fill(2 ** (10 - index)),
)
const FILLS: readonly Fill[] = [
  noise,
  run,
  fewSymbols,
  repeat,
  repeat,
  weighted(RARE_SYMBOLS),
  weighted(FIBONACCI_LENGTHS),
]

function mixture(random: Random, size: number, pieces: number): Buffer {
  const bytes = Buffer.alloc(size)
  let from = 0
  for (let piece = 1; piece <= pieces; piece++) {
    const length = random.below(3) === 0 ? nearEdge(random) : random.below((1 + (2 * size) / pieces) | 0)
    const to = piece === pieces ? size : Math.min(size, from + length)
    random.pick(FILLS)(random, bytes, from, to)
    from = to
  }
  return bytes
}

test('small blocks after any window inflate to the same', () => {
  const random = createRandom(30)
  for (let round = 0; round < rounds(4000); round++) {
    const size =
      random.below(4) === 0 ? random.below(12) : random.below(8) === 0 ? nearEdge(random) : random.below(3000)
    const before = random.below(2) === 0 ? 0 : Math.min(WINDOW_BYTES, random.below(5000))
    assertInflates(mixture(random, before + size, 1 + random.below(6)), before, `round ${round}`)
  }
})

test('blocks up to the largest inflate to the same', () => {
  const random = createRandom(31)
  for (let round = 0; round < rounds(60); round++) {
    const size = round % 3 === 0 ? BLOCK_BYTES - random.below(3) : random.below(BLOCK_BYTES)
    const before = random.pick([0, 1, WINDOW_BYTES - 1, WINDOW_BYTES])
    assertInflates(mixture(random, before + size, 1 + random.below(40)), before, `round ${round}`)
  }
})

test('a repeat at any distance inflates to the same', () => {
  const random = createRandom(32)
  for (let round = 0; round < rounds(600); round++) {
    const distance =
      round < 60 ? 1 + round : round % 2 === 0 ? 1 + random.below(40_000) : 32_700 + random.below(100)
    const length = random.pick([3, 4, 5, 257, 258, 259, 260, 516, 600])
    const bytes = mixture(random, distance + length, 1)
    noise(random, bytes, 0, distance)
    for (let at = distance; at < bytes.length; at++) bytes[at] = bytes[at - distance] ?? 0
    assertInflates(
      bytes,
      Math.min(WINDOW_BYTES, random.below(distance)),
      `distance ${distance}, length ${length}`,
    )
  }
})

test('symbols whose codes want to be longer than is allowed inflate to the same', () => {
  const random = createRandom(33)
  const fills: readonly [string, Fill][] = [
    ['codes', weighted(RARE_SYMBOLS)],
    ['codes of lengths', weighted(FIBONACCI_LENGTHS)],
  ]
  for (const [name, fill] of fills)
    for (let round = 0; round < rounds(60); round++) {
      const bytes = Buffer.alloc(20_000 + random.below(60_000))
      fill(random, bytes, 0, bytes.length)
      assertInflates(bytes, 0, `${name}, round ${round}`)
    }
})

test('blocks with literals alone, and with one distance alone, inflate to the same', () => {
  const random = createRandom(34)
  for (let round = 0; round < rounds(400); round++) {
    // Pairs come again, threes do not: there is nothing to match, and it is smaller than its bytes.
    const literals = Buffer.from(withoutMatches(random, 200 + random.below(3000)))
    assertInflates(literals, 0, `literals, round ${round}`)
    const period = 1 + random.below(300)
    const bytes = Buffer.alloc(period + 3 + random.below(3000))
    noise(random, bytes, 0, period)
    for (let at = period; at < bytes.length; at++) bytes[at] = bytes[at - period] ?? 0
    assertInflates(bytes, 0, `distance ${period}`)
  }
})

test('any bytes in any chunks become a gzip that gunzips to the same, however many threads work', async () => {
  const random = createRandom(35)
  const compressions = [1, 3].map(count => createCompress(createDeflateThreads(count)))
  for (let round = 0; round < rounds(6); round++) {
    const bytes = mixture(random, (round + 1) * BLOCK_BYTES + random.below(3) - 1, 1 + random.below(40))
    const results: Buffer[] = []
    for (const compress of compressions) {
      const pieces: Buffer[] = []
      for await (const piece of compress(inChunks(random, bytes), 'gzip')) pieces.push(Buffer.from(piece))
      results.push(Buffer.concat(pieces))
    }
    const [one = Buffer.alloc(0), other = Buffer.alloc(0)] = results
    assert.ok(one.equals(other), `round ${round}, ${SEED_NOTE}`)
    assert.ok(gunzipSync(one).equals(bytes), `round ${round}, ${SEED_NOTE}`)
  }
})

/** Of few symbols, and no three of them twice. */
function withoutMatches(random: Random, most: number): number[] {
  const seen = new Set<number>()
  const bytes = [0, 1]
  for (let tries = 0; bytes.length < most && tries < 10 * most; tries++) {
    const next = random.below(24)
    const three = ((bytes.at(-2) ?? 0) << 16) | ((bytes.at(-1) ?? 0) << 8) | next
    if (seen.has(three)) continue
    seen.add(three)
    bytes.push(next)
  }
  return bytes
}

async function* inChunks(random: Random, bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random.below(random.pick([100, 70_000, 2 * BLOCK_BYTES]))
    yield bytes.subarray(at, at + size)
    at += size
  }
}
