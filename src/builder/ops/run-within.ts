import type { Outcome } from '../exec/executor.ts'
import type { StepLimits } from '../exec/limits.ts'
import type { RunDefinition } from '../plan/op-definition.ts'
import { watchGrowth } from './growth.ts'
import { ranTooLong } from './run-failure.ts'
import { layerTooLarge } from './store-layer.ts'

export interface StepBounds {
  readonly definition: RunDefinition
  readonly limits: Pick<StepLimits, 'timeoutMs' | 'layerBytes'>
  /** What it writes. */
  readonly directory: string
  readonly signal: AbortSignal
}

/**
 * Ends the step when it has taken more time or space than it may.
 * @throws BuildError `run-failed` or `layer-too-large` then
 */
export async function runWithin(
  { definition, limits, directory, signal }: StepBounds,
  run: (signal: AbortSignal) => Promise<Outcome>,
): Promise<Outcome> {
  const { timeoutMs, layerBytes } = limits
  using growth =
    layerBytes === undefined
      ? undefined
      : await watchGrowth(directory, layerBytes, () => layerTooLarge(layerBytes))
  const timeout = new AbortController()
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => timeout.abort(ranTooLong(definition, timeoutMs)), timeoutMs)
  try {
    const signals = [signal, timeout.signal, ...(growth === undefined ? [] : [growth.signal])]
    return await run(AbortSignal.any(signals))
  } finally {
    clearTimeout(timer)
  }
}
