import { crc32 } from 'node:zlib'
import { GZIP_HEADER, gzipEnd } from '../gzip-member.ts'
import { BLOCK_BYTES, DEFLATED_BYTES, type DeflateThreads, WINDOW_BYTES } from './deflater.ts'

/** Starting threads costs as much as these. */
const BLOCKS_WITHOUT_THREADS = 4
/** Above one per thread: what is read ahead, and what waits for its turn to be written. */
const SPARE_BLOCKS = 2

/** For what deflates block after block, so that the next can use the memory of one that is done. */
export interface BlockPool {
  take(): DeflateBlock
  give(block: DeflateBlock): void
}

/**
 * One gzip member. A function of the bytes: not of their chunks, nor of the threads. A chunk may be used until the
 * next one is asked for.
 */
export async function* gzip(
  source: AsyncIterable<Uint8Array>,
  threads: DeflateThreads,
  pool: BlockPool,
): AsyncGenerator<Buffer, void, undefined> {
  const state = { checksum: 0, size: 0, blocks: 0 }
  const start = (block: DeflateBlock): Deflating => {
    state.checksum = crc32(block.bytes, state.checksum)
    state.size += block.size
    const isEarly = state.blocks++ < BLOCKS_WITHOUT_THREADS
    const length = isEarly ? Promise.resolve(threads.deflateHere(block)) : threads.deflate(block)
    // It may fail while an earlier one is awaited: that must not count as unhandled.
    Promise.allSettled([length])
    return { block, length }
  }
  yield GZIP_HEADER
  yield* inOrder(source, start, pool, threads.count + SPARE_BLOCKS)
  yield gzipEnd(state.checksum, state.size)
}

interface Deflating {
  readonly block: DeflateBlock
  readonly length: Promise<number>
}

/** What the blocks become, in their order. However it ends, no work is left running, and no block is kept. */
async function* inOrder(
  source: AsyncIterable<Uint8Array>,
  start: (block: DeflateBlock) => Deflating,
  pool: BlockPool,
  limit: number,
): AsyncGenerator<Buffer, void, undefined> {
  const running: Deflating[] = []
  let filling = pool.take()
  filling.clear()
  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; ) {
        at += filling.fill(chunk.subarray(at))
        if (!filling.isFull) continue
        running.push(start(filling))
        const after = filling
        filling = pool.take()
        filling.follow(after)
        if (running.length === limit) yield* oldestOf(running, pool)
      }
    }
    if (filling.size > 0) {
      running.push(start(filling))
      filling = pool.take()
    }
    while (running.length > 0) yield* oldestOf(running, pool)
  } finally {
    await Promise.allSettled(running.map(({ length }) => length))
    for (const { block } of running) pool.give(block)
    pool.give(filling)
  }
}

async function* oldestOf(running: Deflating[], pool: BlockPool): AsyncGenerator<Buffer, void, undefined> {
  const [oldest] = running
  if (oldest === undefined) return
  yield oldest.block.output.subarray(0, await oldest.length)
  running.shift()
  pool.give(oldest.block)
}

/** A block with the window before it, and room for what it becomes, in memory that threads see. */
export class DeflateBlock {
  readonly input = Buffer.from(new SharedArrayBuffer(WINDOW_BYTES + BLOCK_BYTES))
  readonly output = Buffer.from(new SharedArrayBuffer(DEFLATED_BYTES))
  before = 0
  size = 0

  get bytes(): Buffer {
    return this.input.subarray(this.before, this.before + this.size)
  }

  get isFull(): boolean {
    return this.size === BLOCK_BYTES
  }

  clear(): void {
    this.before = 0
    this.size = 0
  }

  /** Empties it, to take what comes after a full block. */
  follow(block: DeflateBlock): void {
    this.before = block.bytes.copy(this.input, 0, BLOCK_BYTES - WINDOW_BYTES)
    this.size = 0
  }

  /** Takes as many bytes as there is room for. */
  fill(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, BLOCK_BYTES - this.size)
    this.input.set(taken, this.before + this.size)
    this.size += taken.length
    return taken.length
  }
}

export function createBlockPool(): BlockPool {
  const free: DeflateBlock[] = []
  return {
    take: () => free.pop() ?? new DeflateBlock(),
    give: block => free.push(block),
  }
}
