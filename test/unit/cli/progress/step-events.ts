import type { ProgressEvent } from '../../../../src/builder/solve/progress.ts'
import { digestOf } from '../../../../src/oci/digest.ts'

/** The events of one step, by its name. */
export function stepEvents(name: string) {
  const vertex = digestOf(name)
  return {
    started: (at: number): ProgressEvent => ({ kind: 'started', vertex, name, at }),
    cached: (at: number): ProgressEvent => ({ kind: 'cached', vertex, name, at }),
    done: (at: number): ProgressEvent => ({ kind: 'done', vertex, at }),
    failed: (at: number, message: string): ProgressEvent => ({ kind: 'failed', vertex, message, at }),
    canceled: (at: number): ProgressEvent => ({ kind: 'canceled', vertex, at }),
    status: (at: number, text: string): ProgressEvent => ({ kind: 'status', vertex, text, at }),
    output: (
      at: number,
      text: string | Uint8Array,
      stream: 'stdout' | 'stderr' = 'stdout',
    ): ProgressEvent => ({ kind: 'output', vertex, stream, chunk: Buffer.from(text), at }),
  }
}
