import type { Digest } from '../../oci/digest.ts'
import { extendChain } from '../../oci/identity.ts'
import type { createLimit } from '../../oci/limit.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { Explainer, Explanation, Reason } from './explain.ts'
import type { CachedStep, StepCache, StepCacheDeps } from './step-cache.ts'
import { createStepProgress, type StepProgress, type StepProgressDeps } from './step-progress.ts'
import {
  type CacheKey,
  type LayerOp,
  type OpContext,
  type Result,
  type ResultLayer,
  rootKey,
  type Vertex,
} from './vertex.ts'

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

/** What all steps share. */
export interface StepDeps extends StepProgressDeps, Pick<StepCacheDeps, 'imported'> {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Given to tell why steps are executed, each before it is, and which need not be thanks to another machine. */
  readonly explainer?: Explainer & { report(explanation: Explanation): void }
  readonly steps: StepCache
  /** By cache key: steps of other definitions may turn out to be the same work (of several platforms), done once. */
  readonly executing: Map<Digest, Promise<CachedStep>>
  readonly limit: ReturnType<typeof createLimit>
}

/** One vertex on its way. */
export interface Step {
  run(inputs: readonly Result[]): Promise<Solution>
  /** To be called with what `run` threw. */
  fail(error: unknown, isCanceled: boolean): void
}

export function createStep(
  vertex: Vertex,
  deps: StepDeps,
  context: Pick<OpContext, 'signal' | 'isPassing' | 'keep'>,
): Step {
  const progress = createStepProgress(vertex, deps)
  const { output, status } = progress
  const opContext: OpContext = { ...context, output, status }
  return {
    async run(inputs) {
      const { op } = vertex
      if (op.kind === 'layer') return solveLayer({ vertex, op, inputs, progress, context: opContext }, deps)
      progress.begin()
      const result = await op.exec(opContext)
      progress.done()
      return { result }
    },
    fail(error, isCanceled) {
      if (isCanceled) progress.canceled()
      else progress.failed(error)
    },
  }
}

/** `[build 2/5] RUN make` without its place. */
export function describeStep(name: string): string {
  return name.replace(/^\[[^\]]*\] /, '')
}

interface LayerStep {
  readonly vertex: Vertex
  readonly op: LayerOp
  readonly inputs: readonly Result[]
  readonly progress: StepProgress
  readonly context: OpContext
}

/** Finds the layer by its quick key, by its key, or in a step that is under way; or makes it. */
async function solveLayer(step: LayerStep, deps: StepDeps): Promise<Solution> {
  const { vertex, op, inputs, progress, context } = step
  const { steps, explainer, executing } = deps
  const quickKey = op.quickKey?.(inputs)
  const keepQuick = (found: CachedStep): void => {
    if (quickKey !== undefined) steps.keepQuick(quickKey, found, describeStep(vertex.name))
  }

  const quick = quickKey && vertex.ignoreCache !== true ? await steps.findQuick(quickKey) : undefined
  const key = quick === undefined ? await op.cacheKey(inputs, context) : quick.key
  const cached = quick ?? (await findCached(vertex, key, deps))
  if (cached !== undefined) {
    if (quick === undefined) keepQuick(cached)
    progress.cached()
    const { from } = cached
    if (from !== undefined) explainer?.report({ name: vertex.name, reason: { kind: 'imported', from } })
    return solved(step, cached, quickKey)
  }
  if (key === undefined) {
    const { layer, createdAt } = await execute(step, deps, made => Promise.resolve(made))
    return { result: addLayer(inputs[0], layer), createdAt }
  }
  const running = executing.get(key.digest)
  if (running !== undefined) {
    const kept = await running
    keepQuick(kept)
    progress.cached()
    return solved(step, kept, quickKey)
  }
  const kept = execute(step, deps, async made => {
    const parent = rootKey(inputs[0])
    const description = describeStep(vertex.name)
    const keptStep = await steps.keep({ key, ...(quickKey && { quickKey }), parent, description, ...made })
    explainer?.exclude(key.digest)
    return keptStep
  })
  executing.set(key.digest, kept)
  return solved(step, await kept, quickKey)
}

type Miss = Exclude<Explanation['reason']['kind'], 'changed' | 'imported' | 'layer-elsewhere'>

/** Where there is none, tells why. */
async function findCached(
  vertex: Vertex,
  key: CacheKey | undefined,
  { steps, imported, explainer }: StepDeps,
): Promise<CachedStep | undefined> {
  const missed = (reason: Miss | Reason): undefined => {
    if (explainer === undefined) return
    const isNew = reason === 'no-record' && key !== undefined
    const told = isNew ? explainer.explain(vertex, describeStep(vertex.name), key) : reason
    explainer.report({ name: vertex.name, reason: typeof told === 'string' ? { kind: told } : told })
  }
  if (key === undefined) return missed('never-cached')
  if (vertex.ignoreCache === true) return missed('no-cache')
  const found = await steps.find(key)
  const from = found === undefined ? imported?.lostFrom(key.digest) : undefined
  if (from !== undefined) return missed({ kind: 'layer-elsewhere', from })
  if (found === undefined) return missed('no-record')
  return found === 'layer-lost' ? missed(found) : found
}

interface Made {
  readonly layer: LayerRecord
  readonly createdAt: number
}

async function execute<T>(
  { op, inputs, progress, context }: LayerStep,
  { limit, now }: StepDeps,
  keep: (made: Made) => Promise<T>,
): Promise<T> {
  await op.prepare?.()
  return limit(async () => {
    context.signal.throwIfAborted()
    progress.begin()
    const layer = await op.exec(inputs, context)
    const kept = await keep({ layer, createdAt: now() })
    progress.done()
    return kept
  })
}

function solved({ vertex, inputs }: LayerStep, cached: CachedStep, quickKey: CacheKey | undefined): Solution {
  const { from: _, ...own } = cached
  const step = { ...own, ...(quickKey && { quickKey }), name: vertex.name }
  return { result: addLayer(inputs[0], cached.layer, cached.content), createdAt: cached.createdAt, step }
}

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
