/**
 * Solving is a memo table over the graph: every vertex gets one promise, in an order in which its inputs come
 * first, and each promise waits for those of its inputs. So independent branches run at the same time, and a
 * vertex that several need runs once.
 */
import type { Digest } from '../../oci/digest.ts'
import { extendChain } from '../../oci/identity.ts'
import { createLimit } from '../../oci/limit.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import { BuildError, withSpan } from '../errors.ts'
import type { Explainer, Explanation, Reason } from './explain.ts'
import { type Aftermath, createAftermath, type OnFailure } from './failure.ts'
import { inOrder } from './order.ts'
import type { ProgressEvent, ProgressSink } from './progress.ts'
import { type CachedStep, createStepCache, type StepCache, type StepCacheDeps } from './step-cache.ts'
import {
  type CacheKey,
  type LayerOp,
  type OpContext,
  type Result,
  type ResultLayer,
  rootKey,
  type Vertex,
} from './vertex.ts'

export interface SolveDeps extends StepCacheDeps {
  readonly progress: ProgressSink
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly monotonicNow: () => number
  /** Steps that execute at once; looking up what is cached is not limited. */
  readonly concurrency: number
  /** Given to tell why steps are executed, each before it is, and which need not be thanks to another machine. */
  readonly explainer?: Explainer & { report(explanation: Explanation): void }
  /** Shown what a step that failed has left, before it is taken away. */
  readonly onFailure?: OnFailure
}

export interface Solution {
  readonly result: Result
  /** When the vertex's own layer was made, in milliseconds since the epoch; undefined where it adds none. */
  readonly createdAt?: number
  /** Of a step that has a key: what a cache keeps of it. */
  readonly step?: SolvedStep
}

export interface SolvedStep extends Omit<CachedStep, 'from'> {
  readonly quickKey?: CacheKey
  /** The vertex's: `[build 2/5] RUN make` */
  readonly name: string
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
  const limit = createLimit(deps.concurrency)
  const memo = new Map<Digest, Promise<Solution>>()
  const steps = createStepCache(deps)
  const executing: Executing = new Map()
  const kept = layersOf(targets)

  const start = async (vertex: Vertex): Promise<Solution> => {
    const inputs = await Promise.all(vertex.inputs.map(input => required(memo, input)))
    signal.throwIfAborted()
    await using aftermath = createAftermath(vertex, deps.onFailure, outerSignal)
    const step = createStep(vertex, deps, steps, executing, {
      ...aftermath,
      signal,
      isPassing: !kept.has(vertex.digest),
    })
    const results = inputs.map(input => input.result)
    try {
      return await step.run(results, limit)
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

/**
 * One vertex on its way: tells the progress sink exactly one start and one end.
 * @param executing by cache key: steps of other definitions may turn out to be the same work (of several platforms),
 *   which one of them does
 */
function createStep(
  vertex: Vertex,
  deps: SolveDeps,
  steps: StepCache,
  executing: Executing,
  { signal, isPassing, keep }: Required<Pick<OpContext, 'signal' | 'isPassing'>> & Pick<Aftermath, 'keep'>,
) {
  const { now, monotonicNow } = deps
  const description = describeStep(vertex.name)
  let started = false
  const emit = (event: DistributiveOmit<VertexEvent, 'vertex' | 'at'>): void | Promise<void> =>
    deps.progress({ ...event, vertex: vertex.digest, at: monotonicNow() })
  const begin = (): void => {
    if (started) return
    started = true
    emit({ kind: 'started', name: vertex.name })
  }
  const context: OpContext = {
    signal,
    isPassing,
    output(stream, chunk) {
      begin()
      return emit({ kind: 'output', stream, chunk })
    },
    status(text) {
      begin()
      emit({ kind: 'status', text })
    },
    ...(keep !== undefined && { keep }),
  }

  const missed = (reason: Miss | Reason, key?: CacheKey): undefined => {
    const { explainer } = deps
    if (explainer === undefined) return
    const isNew = reason === 'no-record' && key !== undefined
    const told = isNew ? explainer.explain(vertex, description, key) : reason
    explainer.report({ name: vertex.name, reason: typeof told === 'string' ? { kind: told } : told })
  }

  const findCached = async (key: CacheKey | undefined): Promise<CachedStep | undefined> => {
    if (key === undefined) return missed('never-cached')
    if (vertex.ignoreCache === true) return missed('no-cache')
    const found = await steps.find(key)
    const from = found === undefined ? deps.imported?.lostFrom(key.digest) : undefined
    if (from !== undefined) return missed({ kind: 'layer-elsewhere', from })
    if (found === undefined) return missed('no-record', key)
    return found === 'layer-lost' ? missed(found) : found
  }

  const solved = (
    inputs: readonly Result[],
    cached: CachedStep,
    quickKey: CacheKey | undefined,
  ): Solution => {
    const { from: _, ...own } = cached
    const step = { ...own, ...(quickKey && { quickKey }), name: vertex.name }
    return { result: addLayer(inputs[0], cached.layer, cached.content), createdAt: cached.createdAt, step }
  }

  const execute = async <T>(
    op: LayerOp,
    inputs: readonly Result[],
    limit: Limit,
    keep: (made: Made) => Promise<T>,
  ): Promise<T> => {
    await op.prepare?.()
    return limit(async () => {
      signal.throwIfAborted()
      begin()
      const layer = await op.exec(inputs, context)
      const kept = await keep({ layer, createdAt: now() })
      emit({ kind: 'done' })
      return kept
    })
  }

  const runLayer = async (op: LayerOp, inputs: readonly Result[], limit: Limit): Promise<Solution> => {
    const quickKey = op.quickKey?.(inputs)
    const quick = quickKey && vertex.ignoreCache !== true ? await steps.findQuick(quickKey) : undefined
    const key = quick === undefined ? await op.cacheKey(inputs, context) : quick.key
    const cached = quick ?? (await findCached(key))
    if (cached !== undefined) {
      if (quick === undefined && quickKey !== undefined) steps.keepQuick(quickKey, cached, description)
      emit({ kind: 'cached', name: vertex.name })
      const { from } = cached
      if (from !== undefined)
        deps.explainer?.report({ name: vertex.name, reason: { kind: 'imported', from } })
      return solved(inputs, cached, quickKey)
    }
    if (key === undefined) {
      const { layer, createdAt } = await execute(op, inputs, limit, made => Promise.resolve(made))
      return { result: addLayer(inputs[0], layer), createdAt }
    }
    const running = executing.get(key.digest)
    if (running !== undefined) {
      const kept = await running
      if (quickKey !== undefined) steps.keepQuick(quickKey, kept, description)
      emit({ kind: 'cached', name: vertex.name })
      return solved(inputs, kept, quickKey)
    }
    const kept = execute(op, inputs, limit, async made => {
      const parent = rootKey(inputs[0])
      const step = await steps.keep({ key, ...(quickKey && { quickKey }), parent, description, ...made })
      deps.explainer?.exclude(key.digest)
      return step
    })
    executing.set(key.digest, kept)
    return solved(inputs, await kept, quickKey)
  }

  return {
    async run(inputs: readonly Result[], limit: Limit): Promise<Solution> {
      if (vertex.op.kind === 'layer') return runLayer(vertex.op, inputs, limit)
      begin()
      const result = await vertex.op.exec(context)
      emit({ kind: 'done' })
      return { result }
    },
    fail(error: unknown, canceled: boolean): void {
      if (canceled) {
        if (started) emit({ kind: 'canceled' })
        return
      }
      begin()
      emit({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    },
  }
}

/** Steps on their way, by cache key. */
type Executing = Map<Digest, Promise<CachedStep>>

interface Made {
  readonly layer: LayerRecord
  readonly createdAt: number
}

type Limit = ReturnType<typeof createLimit>
type Miss = Exclude<Explanation['reason']['kind'], 'changed' | 'imported' | 'layer-elsewhere'>
type VertexEvent = Exclude<ProgressEvent, { kind: 'warning' }>
type DistributiveOmit<T, Keys extends PropertyKey> = T extends unknown ? Omit<T, Keys> : never

function addLayer(root: Result | undefined, layer: ResultLayer, content = layer.diffID): Result {
  const { digest, mediaType, size, diffID } = layer
  const chainID = extendChain(root?.chainID, diffID)
  const contentID = extendChain(root?.contentID ?? root?.chainID, content)
  return {
    chainID,
    ...(contentID !== chainID && { contentID }),
    layers: [...(root?.layers ?? []), { digest, mediaType, size, diffID }],
  }
}

/** True for the end of an attempt after which the build is solved again. */
export function isLayerLost(error: unknown): boolean {
  return error instanceof BuildError && error.code === 'layer-lost'
}

/** `[build 2/5] RUN make` without its place. */
export function describeStep(name: string): string {
  return name.replace(/^\[[^\]]*\] /, '')
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
