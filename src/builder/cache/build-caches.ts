import type { Digest } from '../../oci/digest.ts'
import type { Store } from '../../store/store.ts'
import { parseGoBoolean } from '../dockerfile/go-boolean.ts'
import { createLayerVariants } from '../export/layer-variants.ts'
import { createImageLayers, type ImageLayers } from '../images/image-layers.ts'
import type { ImageRegistries } from '../images/registry-source.ts'
import { createCacheMounts } from '../snapshot/cache-mounts.ts'
import { createEqualResults } from '../solve/equal-results.ts'
import { createExplainer, type ExplainedRecords, type Explanation } from '../solve/explain.ts'
import { inOrder } from '../solve/order.ts'
import { withProgress } from '../solve/progress.ts'
import { isLayerLost, type SolveDeps, solve } from '../solve/solver.ts'
import type { Solution, SolvedStep } from '../solve/step.ts'
import type { Result, ResultLayer, Vertex } from '../solve/vertex.ts'
import type { DocumentedStep } from './cache-document.ts'
import type { CacheSource, CacheTarget } from './cache-end.ts'
import { documentSteps, keepImported, layersToHold } from './documented-steps.ts'
import { type CacheRegistries, exportCache } from './export-cache.ts'
import { createMountLayers, usedCacheMounts } from './export-mounts.ts'
import { importCaches } from './import-cache.ts'
import { createImportedCache, type ImportedCache, untilNothingIsLost } from './imported-cache.ts'
import { createImportedMounts, type ImportedMounts } from './imported-mounts.ts'

export interface BuildCachesOptions {
  readonly cacheFrom: readonly CacheSource[]
  readonly cacheTo: readonly CacheTarget[]
  readonly noCache: boolean
  readonly buildArgs: ReadonlyMap<string, string>
}

export interface BuildCachesDeps
  extends Pick<SolveDeps, 'progress' | 'now' | 'monotonicNow' | 'concurrency'> {
  readonly store: Store
  readonly remote: ImageRegistries & CacheRegistries
  readonly signal: AbortSignal
  readonly explain?: (explanation: Explanation) => void
}

type Solutions = ReadonlyMap<Digest, Solution>

/** The caches of one build: our own, and those it takes from and gives to other machines. */
export interface BuildCaches {
  /** All layers that the build reads, those of base images too. */
  readonly layers: ImageLayers
  /** Cache mounts that other machines have filled. */
  readonly importedMounts: ImportedMounts
  /** Reads what `--cache-from` names. */
  import(): Promise<void>
  /**
   * Solves, with whatever the caches have.
   * @param needsLayers true where the layers of the targets' results will be read
   */
  solve(targets: readonly Vertex[], needsLayers: boolean): Promise<Solutions>
  /** What the config of the target's image shall hold; undefined where it shall hold no cache. */
  inlineSteps(solutions: Solutions, target: Vertex): readonly DocumentedStep[] | undefined
  /** Writes what `--cache-to` names, after the outputs. */
  export(solutions: Solutions, images: readonly Result[], targets: readonly Vertex[]): Promise<void>
}

export function createBuildCaches(options: BuildCachesOptions, deps: BuildCachesDeps): BuildCaches {
  const { store, progress, signal, explain } = deps
  const warn = (text: string): void => void progress({ kind: 'warning', text })
  const { imported, layers } = createImportedCache(createImageLayers(store), { store, warn })
  const importedMounts = createImportedMounts({ layers, stored: store.layers, warn })
  const isInline =
    options.cacheTo.some(({ type }) => type === 'inline') ||
    parseGoBoolean(options.buildArgs.get('BUILDKIT_INLINE_CACHE') ?? '') === true

  const equalResults = createEqualResults(store.layers, !options.noCache)
  const variants = createLayerVariants({ store, layers, now: deps.now })

  const attempt = async (targets: readonly Vertex[], needsLayers: boolean): Promise<Solutions> => {
    // Kept until it is known that this attempt is the last one.
    const explanations: Explanation[] = []
    const report = (explanation: Explanation): void => void explanations.push(explanation)
    const tell = (): void => {
      for (const explanation of explanations) explain?.(explanation)
    }
    const explainer = createExplainer(recordsOf(store, imported))
    const solveDeps = {
      ...deps,
      cache: store.metadata,
      content: store.content,
      imported,
      equalResults,
      ...(explain !== undefined && { explainer: { ...explainer, report } }),
    }
    try {
      const solutions = await solve(targets, solveDeps, signal)
      if (needsLayers) for (const target of targets) await fetchImported(solutions.get(target.digest)?.result)
      tell()
      return solutions
    } catch (error) {
      if (!isLayerLost(error)) tell()
      throw error
    }
  }

  const fetchImported = async (result: Result | undefined): Promise<void> => {
    const wanted: ResultLayer[] = []
    for (const layer of result?.layers ?? []) {
      if (imported.has(layer) && (await store.content.stat(layer.digest)) === undefined) wanted.push(layer)
    }
    if (wanted.length === 0) return
    // The build goes on without them: no step has failed.
    const lost = await withProgress('importing layers', deps, async context => {
      try {
        await layers.require(wanted, context)
      } catch (error) {
        if (!isLayerLost(error)) throw error
        context.status('not all can be had: the steps that make them are executed')
        return error
      }
    })
    if (lost !== undefined) throw lost
  }

  return {
    layers,
    importedMounts,
    import: () => importCaches(options.cacheFrom, { ...deps, layers, imported, importedMounts }),
    solve: (targets, needsLayers) => untilNothingIsLost(() => attempt(targets, needsLayers)),
    inlineSteps: (solutions, target) =>
      isInline
        ? documentSteps(stepsOf(solutions, new Set(inOrder([target]).map(({ digest }) => digest))))
        : undefined,
    async export(solutions, images, targets) {
      const used = usedCacheMounts(inOrder(targets), ({ digest }) => solutions.get(digest)?.result)
      const mountLayers = createMountLayers({
        cacheMounts: createCacheMounts({ root: store.root }),
        stored: store.layers,
        imported: importedMounts,
        warn,
      })
      const steps = stepsOf(solutions)
      const inImages = images.flatMap(image => image.layers)
      for (const target of options.cacheTo) {
        if (target.type === 'inline') continue
        const held = await layersToHold(steps, inImages, target.mode, {
          content: store.content,
          imported,
        })
        await exportCache(target, documentSteps(steps), held, {
          ...deps,
          layers,
          variants,
          mountsFor: (choice, context) => mountLayers.get(used, choice, context),
        })
      }
      keepImported(steps, store.metadata, equalResults)
    },
  }
}

function recordsOf({ metadata }: Store, imported: ImportedCache): ExplainedRecords {
  return {
    findCacheRecords: (like, limit) => [
      ...metadata.findCacheRecords(like, limit),
      ...imported.findCacheRecords(like, limit),
    ],
  }
}

/** @param wanted vertices; all by default */
function stepsOf(solutions: Solutions, wanted?: ReadonlySet<Digest>): readonly SolvedStep[] {
  return [...solutions].flatMap(([vertex, { step }]) =>
    step === undefined || wanted?.has(vertex) === false ? [] : [step],
  )
}
