import type { ProgressSink } from '../../builder/solve/progress.ts'

/** Shows a build's events to whoever watches, on standard error. */
export interface ProgressRenderer {
  readonly sink: ProgressSink
  /** Draws the final state; nothing is written afterwards, also when it is called again. */
  finish(): void
}
