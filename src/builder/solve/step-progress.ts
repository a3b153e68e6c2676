import type { ProgressEvent, ProgressSink } from './progress.ts'
import type { OpContext, Vertex } from './vertex.ts'

export interface StepProgressDeps {
  readonly progress: ProgressSink
  /** Milliseconds. */
  readonly monotonicNow: () => number
}

/** Tells the progress sink of one vertex: one start, and one end of several. */
export interface StepProgress extends Pick<OpContext, 'output' | 'status'> {
  /** Its first output begins it too. */
  begin(): void
  /** Instead of a start and an end. */
  cached(): void
  done(): void
  failed(error: unknown): void
  /** Of a vertex that did not begin there is nothing to tell. */
  canceled(): void
}

export function createStepProgress(vertex: Vertex, deps: StepProgressDeps): StepProgress {
  let hasBegun = false
  const emit = (event: OwnEvent): void | Promise<void> =>
    deps.progress({ ...event, vertex: vertex.digest, at: deps.monotonicNow() })
  const begin = (): void => {
    if (hasBegun) return
    hasBegun = true
    emit({ kind: 'started', name: vertex.name })
  }
  return {
    begin,
    output(stream, chunk) {
      begin()
      return emit({ kind: 'output', stream, chunk })
    },
    status(text) {
      begin()
      emit({ kind: 'status', text })
    },
    cached: () => void emit({ kind: 'cached', name: vertex.name }),
    done: () => void emit({ kind: 'done' }),
    failed(error) {
      begin()
      emit({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    },
    canceled() {
      if (hasBegun) emit({ kind: 'canceled' })
    },
  }
}

type OwnEvent = DistributiveOmit<Exclude<ProgressEvent, { kind: 'warning' }>, 'vertex' | 'at'>
type DistributiveOmit<T, Keys extends PropertyKey> = T extends unknown ? Omit<T, Keys> : never
