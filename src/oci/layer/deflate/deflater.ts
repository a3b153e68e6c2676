import { DEFLATE_WASM } from './deflate-wasm.ts'

/** Bytes that a deflated block can refer to. */
export const WINDOW_BYTES = 32 * 1024
export const BLOCK_BYTES = 512 * 1024
/**
 * Room for a block that does not get smaller. It is written in pieces of four KiB or more, each at most 512 bytes larger
 * than itself: it is coded where that seems smaller by a guess at what its codes take, which they may exceed by that.
 */
export const DEFLATED_BYTES = BLOCK_BYTES + 64 * 1024

export interface DeflateJob {
  /** `before` bytes that come before the block, then `size` bytes of the block: at most a window and a block. */
  readonly input: Uint8Array
  readonly before: number
  readonly size: number
  /** Of `DEFLATED_BYTES`. */
  readonly output: Uint8Array
}

/** Writes what the block becomes to `output`, and returns its length: it ends at a byte, and is not the last one. */
export type Deflater = (job: DeflateJob) => number

/** Where blocks are deflated. */
export interface DeflateThreads {
  readonly count: number
  /** On this thread. */
  deflateHere: Deflater
  /** On one of `count` others; for buffers in shared memory. */
  deflate(job: DeflateJob): Promise<number>
}

export function compileDeflate(): WebAssembly.Module {
  return new WebAssembly.Module(Buffer.from(DEFLATE_WASM, 'base64'))
}

/** Threads run the text of this function, so it can use nothing outside of itself. */
export function createDeflater(module: WebAssembly.Module): Deflater {
  interface Exports {
    readonly memory: { readonly buffer: ArrayBuffer }
    readonly WINDOW: { readonly value: number }
    readonly OUTPUT: { readonly value: number }
    deflate(before: number, size: number): number
  }
  const exports = new WebAssembly.Instance(module).exports as Exports
  const memory = new Uint8Array(exports.memory.buffer)
  return ({ input, before, size, output }) => {
    memory.set(input.subarray(0, before + size), exports.WINDOW.value)
    const length = exports.deflate(before, size)
    output.set(memory.subarray(exports.OUTPUT.value, exports.OUTPUT.value + length))
    return length
  }
}
