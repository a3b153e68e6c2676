/**
 * Solving is a memo table over the graph: every vertex gets one promise, in an order in which its inputs come
 * first, and each promise waits for those of its inputs. So independent branches run at the same time, and a
 * vertex that several need runs once.
 */
import type { Digest } from '../../oci/digest.ts'
import { createLimit } from '../../oci/limit.ts'
import { BuildError, withSpan } from '../errors.ts'
import { createAftermath, type OnFailure } from './failure.ts'
import { inOrder } from './order.ts'
import { createStep, type Solution, type StepDeps } from './step.ts'
import { createStepCache, type StepCacheDeps } from './step-cache.ts'
import type { Vertex } from './vertex.ts'

export interface SolveDeps extends StepCacheDeps, Omit<StepDeps, 'steps' | 'executing' | 'limit'> {
  /** Steps that execute at once; looking up what is cached is not limited. */
  readonly concurrency: number
  /** Shown what a step that failed has left, before it is taken away. */
  readonly onFailure?: OnFailure
}

/**
 * Solves the vertices and all that they need.
 * @returns the solution of every vertex, by its definition digest
 * @throws the first failure, with the place of its vertex, after all other work has been canceled and has ended;
 *   the signal's reason when it is aborted
 */
export async function solve(
  targets: readonly Vertex[],
  deps: SolveDeps,
  outerSignal: AbortSignal,
): Promise<ReadonlyMap<Digest, Solution>> {
  outerSignal.throwIfAborted()
  const failed = new AbortController()
  const signal = AbortSignal.any([outerSignal, failed.signal])
  const memo = new Map<Digest, Promise<Solution>>()
  const stepDeps: StepDeps = {
    ...deps,
    steps: createStepCache(deps),
    executing: new Map(),
    limit: createLimit(deps.concurrency),
  }
  const kept = layersOf(targets)

  const start = async (vertex: Vertex): Promise<Solution> => {
    const inputs = await Promise.all(vertex.inputs.map(input => required(memo, input)))
    signal.throwIfAborted()
    await using aftermath = createAftermath(vertex, deps.onFailure, outerSignal)
    const { keep } = aftermath
    const isPassing = !kept.has(vertex.digest)
    const step = createStep(vertex, stepDeps, { signal, isPassing, ...(keep !== undefined && { keep }) })
    const results = inputs.map(input => input.result)
    try {
      return await step.run(results)
    } catch (error) {
      const canceled = signal.aborted
      // With `layer-lost` the build will be solved once more: that is not its end.
      step.fail(error, canceled || isLayerLost(error))
      if (!canceled) {
        const placed = withSpan(error, vertex.span)
        failed.abort(placed)
        if (!isLayerLost(error)) await aftermath.show(placed, results)
      }
      throw error
    }
  }
  for (const vertex of inOrder(targets)) memo.set(vertex.digest, start(vertex))

  await Promise.allSettled(memo.values())
  signal.throwIfAborted()
  const solutions = new Map<Digest, Solution>()
  for (const [digest, solution] of memo) solutions.set(digest, await solution)
  return solutions
}

/** True for the end of an attempt after which the build is solved again. */
export function isLayerLost(error: unknown): boolean {
  return error instanceof BuildError && error.code === 'layer-lost'
}

/** The vertices whose layers the targets have: from each down to its base. */
function layersOf(targets: readonly Vertex[]): ReadonlySet<Digest> {
  const found = new Set<Digest>()
  for (const target of targets)
    for (let vertex: Vertex | undefined = target; vertex !== undefined; vertex = vertex.inputs[0])
      found.add(vertex.digest)
  return found
}

function required(memo: ReadonlyMap<Digest, Promise<Solution>>, vertex: Vertex): Promise<Solution> {
  const promise = memo.get(vertex.digest)
  if (promise === undefined) throw new Error(`vertex ${vertex.name} was started before its input`)
  return promise
}
