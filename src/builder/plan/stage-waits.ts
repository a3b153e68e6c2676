import type { Stage } from '../dockerfile/instructions.ts'
import { BuildError } from '../errors.ts'

/**
 * Notes which stage waits for which, by their indexes. Only a context that names a stage can make a circle.
 * @returns to be told of each wait before it begins; it throws BuildError `dockerfile-invalid` for one that would never end
 */
export function createStageWaits(): (by: Stage, stage: Stage) => void {
  const waits = new Map<number, Set<number>>()
  return (by, stage) => {
    if (isWaitingFor(waits, stage.index, by.index))
      throw new BuildError(
        'dockerfile-invalid',
        `Cannot build stage ${stage.name ?? stage.index}: with --build-context it needs itself`,
        { span: by.span },
      )
    waits.set(by.index, (waits.get(by.index) ?? new Set()).add(stage.index))
  }
}

function isWaitingFor(
  waits: ReadonlyMap<number, ReadonlySet<number>>,
  from: number,
  wanted: number,
): boolean {
  const pending = [from]
  const seen = new Set(pending)
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    if (index === wanted) return true
    for (const next of waits.get(index) ?? []) {
      if (seen.has(next)) continue
      seen.add(next)
      pending.push(next)
    }
  }
  return false
}
