import type { ProgressSink } from '../../builder/solve/progress.ts'

/** Shows a build's events to whoever watches, on standard error. */
export interface ProgressRenderer {
  readonly sink: ProgressSink
  /** Draws the final state; nothing is written afterwards. */
  finish(): void
}
