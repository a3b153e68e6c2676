import { type Digest, digestOf } from '../../oci/digest.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { OpContext } from './vertex.ts'

/** What happens in a build, as it happens. Times are milliseconds of a monotonic clock. */
export type ProgressEvent =
  | { readonly kind: 'started'; readonly vertex: Digest; readonly name: string; readonly at: number }
  | {
      readonly kind: 'output'
      readonly vertex: Digest
      readonly stream: 'stdout' | 'stderr'
      readonly chunk: Uint8Array
      readonly at: number
    }
  | { readonly kind: 'status'; readonly vertex: Digest; readonly text: string; readonly at: number }
  | { readonly kind: 'cached'; readonly vertex: Digest; readonly name: string; readonly at: number }
  | { readonly kind: 'done'; readonly vertex: Digest; readonly at: number }
  | { readonly kind: 'failed'; readonly vertex: Digest; readonly message: string; readonly at: number }
  | { readonly kind: 'canceled'; readonly vertex: Digest; readonly at: number }
  | {
      readonly kind: 'warning'
      readonly text: string
      /** Of the lint rule that found it, with its place. */
      readonly rule?: string
      readonly span?: SourceSpan
    }

/**
 * A promise is for a step's output: the step waits for it before it prints more, so that a reader who is slow is not
 * buried. It never rejects.
 */
export type ProgressSink = (event: ProgressEvent) => void | Promise<void>

/** Work beside the graph, shown like a vertex: one start and one end. */
export async function withProgress<T>(
  name: string,
  deps: {
    readonly progress: ProgressSink
    readonly monotonicNow: () => number
    readonly signal: AbortSignal
  },
  task: (context: OpContext) => Promise<T>,
): Promise<T> {
  const { progress, monotonicNow, signal } = deps
  const vertex = digestOf(name)
  progress({ kind: 'started', name, vertex, at: monotonicNow() })
  try {
    const result = await task({
      signal,
      output: (stream, chunk) => progress({ kind: 'output', vertex, stream, chunk, at: monotonicNow() }),
      status: text => progress({ kind: 'status', vertex, text, at: monotonicNow() }),
    })
    progress({ kind: 'done', vertex, at: monotonicNow() })
    return result
  } catch (error) {
    const at = monotonicNow()
    if (signal.aborted) progress({ kind: 'canceled', vertex, at })
    else
      progress({
        kind: 'failed',
        message: error instanceof Error ? error.message : String(error),
        vertex,
        at,
      })
    throw error
  }
}
