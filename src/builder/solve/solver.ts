/**
 * Solving is a memo table over the graph: every vertex gets one promise, in an order in which its inputs come
 * first, and each promise waits for those of its inputs. So independent branches run at the same time, and a
 * vertex that several need runs once.
 */
import type { ContentProvider } from '../../oci/content.ts'
import type { Digest } from '../../oci/digest.ts'
import { extendChain } from '../../oci/identity.ts'
import { createLimit } from '../../oci/limit.ts'
import type { CacheRecord, LayerRecord, Metadata } from '../../store/metadata.ts'
import { withSpan } from '../errors.ts'
import type { Explainer, Explanation } from './explain.ts'
import type { ProgressEvent, ProgressSink } from './progress.ts'
import type { CacheKey, LayerOp, OpContext, Result, Vertex } from './vertex.ts'

export interface SolveDeps {
  readonly cache: Pick<Metadata, 'getCacheRecord' | 'putCacheRecord'>
  readonly content: Pick<ContentProvider, 'stat'>
  readonly progress: ProgressSink
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly monotonicNow: () => number
  /** Steps that execute at once; looking up what is cached is not limited. */
  readonly concurrency: number
  /** Given to tell why steps are executed, each before it is. */
  readonly explainer?: Explainer & { report(explanation: Explanation): void }
}

export interface Solution {
  readonly result: Result
  /** When the vertex's own layer was made, in milliseconds since the epoch; undefined where it adds none. */
  readonly createdAt?: number
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

  const start = async (vertex: Vertex): Promise<Solution> => {
    const inputs = await Promise.all(vertex.inputs.map(input => required(memo, input)))
    signal.throwIfAborted()
    const step = createStep(vertex, deps, signal)
    try {
      return await step.run(
        inputs.map(input => input.result),
        limit,
      )
    } catch (error) {
      const canceled = signal.aborted
      step.fail(error, canceled)
      if (!canceled) failed.abort(withSpan(error, vertex.span))
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

/** One vertex on its way: tells the progress sink exactly one start and one end. */
function createStep(vertex: Vertex, deps: SolveDeps, signal: AbortSignal) {
  const { cache, content, now, monotonicNow } = deps
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
    output(stream, chunk) {
      begin()
      return emit({ kind: 'output', stream, chunk })
    },
    status(text) {
      begin()
      emit({ kind: 'status', text })
    },
  }

  const missed = (reason: Miss, key?: CacheKey): undefined => {
    const { explainer } = deps
    if (explainer === undefined) return
    const isNew = reason === 'no-record' && key !== undefined
    explainer.report({
      name: vertex.name,
      reason: isNew ? explainer.explain(vertex, describe(vertex), key) : { kind: reason },
    })
  }

  const findCached = async (key: CacheKey | undefined): Promise<CacheRecord | undefined> => {
    if (key === undefined) return missed('never-cached')
    if (vertex.ignoreCache === true) return missed('no-cache')
    const record = cache.getCacheRecord(key.digest)
    if (record === undefined) return missed('no-record', key)
    const blob = await content.stat(record.layer.digest)
    return blob?.size === record.layer.size ? record : missed('layer-lost')
  }

  const runLayer = async (op: LayerOp, inputs: readonly Result[], limit: Limit): Promise<Solution> => {
    const key = await op.cacheKey(inputs, context)
    const cached = await findCached(key)
    if (cached !== undefined) {
      emit({ kind: 'cached', name: vertex.name })
      return { result: addLayer(inputs[0], cached.layer), createdAt: cached.createdAt }
    }
    return limit(async () => {
      signal.throwIfAborted()
      begin()
      const layer = await op.exec(inputs, context)
      const createdAt = now()
      if (key !== undefined) {
        const { digest, parts } = key
        cache.putCacheRecord({ key: digest, description: describe(vertex), parts, layer, createdAt })
        deps.explainer?.exclude(digest)
      }
      emit({ kind: 'done' })
      return { result: addLayer(inputs[0], layer), createdAt }
    })
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

type Limit = ReturnType<typeof createLimit>
type Miss = Exclude<Explanation['reason']['kind'], 'changed'>
type VertexEvent = Exclude<ProgressEvent, { kind: 'warning' }>
type DistributiveOmit<T, Keys extends PropertyKey> = T extends unknown ? Omit<T, Keys> : never

function addLayer(root: Result | undefined, layer: LayerRecord): Result {
  const { digest, mediaType, size, diffID } = layer
  return {
    chainID: extendChain(root?.chainID, diffID),
    layers: [...(root?.layers ?? []), { digest, mediaType, size, diffID }],
  }
}

/** `[build 2/5] RUN make` without its place. */
function describe(vertex: Vertex): string {
  return vertex.name.replace(/^\[[^\]]*\] /, '')
}

/** Every vertex once, inputs first. Walks without recursion: a Dockerfile may be very long. */
function inOrder(targets: readonly Vertex[]): readonly Vertex[] {
  const ordered = new Map<Digest, Vertex>()
  const stack = targets.toReversed().map(vertex => ({ vertex, ready: false }))
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { vertex, ready } = top
    if (ordered.has(vertex.digest)) continue
    if (ready) {
      ordered.set(vertex.digest, vertex)
      continue
    }
    stack.push({ vertex, ready: true })
    for (const input of vertex.inputs.toReversed()) stack.push({ vertex: input, ready: false })
  }
  return [...ordered.values()]
}

function required(memo: ReadonlyMap<Digest, Promise<Solution>>, vertex: Vertex): Promise<Solution> {
  const promise = memo.get(vertex.digest)
  if (promise === undefined) throw new Error(`vertex ${vertex.name} was started before its input`)
  return promise
}
