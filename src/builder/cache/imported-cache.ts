/**
 * Steps that other machines executed. Their layers are fetched like those of base images, when something reads them;
 * one that cannot be had, or is not what was promised, is given up: the build is solved again without it.
 */
import type { Digest } from '../../oci/digest.ts'
import { CodedError } from '../../oci/errors.ts'
import type { Store } from '../../store/store.ts'
import { BuildError } from '../errors.ts'
import type { FetchContext, ImageLayers } from '../images/image-layers.ts'
import type { ExplainedRecords } from '../solve/explain.ts'
import { isLayerLost } from '../solve/solver.ts'
import type { CachedStep, ImportedSteps } from '../solve/step-cache.ts'
import type { ResultLayer } from '../solve/vertex.ts'
import type { DocumentedStep } from './cache-document.ts'

export interface ImportedCache extends ImportedSteps, ExplainedRecords {
  /** @param held layers that can be fetched; others are known by name alone */
  add(steps: readonly DocumentedStep[], held: ReadonlySet<Digest>, from: string): void
  /** True for the layer of an imported step. */
  has(layer: ResultLayer): boolean
  /** True where it can be fetched. */
  isHeld(digest: Digest): boolean
}

export interface ImportedCacheDeps {
  readonly store: Pick<Store, 'content' | 'metadata'>
  readonly warn: (text: string) => void
}

export interface LosableLayers {
  readonly imported: ImportedCache
  /** Requiring an imported layer that cannot be had throws BuildError `layer-lost`: the build has to be solved again. */
  readonly layers: ImageLayers
}

interface ImportedStep extends CachedStep {
  readonly description: string
  readonly from: string
}

export function createImportedCache(layers: ImageLayers, { store, warn }: ImportedCacheDeps): LosableLayers {
  const steps = new Map<Digest, ImportedStep>()
  const quick = new Map<Digest, Digest>()
  const held = new Set<Digest>()
  const lostFrom = new Map<Digest, string>()

  const isUsable = async ({ digest, diffID }: ResultLayer): Promise<boolean> =>
    (await store.content.stat(digest)) !== undefined && store.metadata.getLayer(digest)?.diffID === diffID

  const imported: ImportedCache = {
    add(documented, heldHere, from) {
      for (const { key, quickKey, parts = [], description = '', layer, content, createdAt } of documented) {
        const known = steps.get(key)
        if (known !== undefined && (held.has(known.layer.digest) || !heldHere.has(layer.digest))) continue
        const noted = content === undefined ? {} : { content }
        steps.set(key, { key: { digest: key, parts }, description, layer, ...noted, createdAt, from })
        if (quickKey !== undefined) quick.set(quickKey, key)
      }
      for (const digest of heldHere) held.add(digest)
    },
    find: key => steps.get(key),
    findQuick(quickKey) {
      const key = quick.get(quickKey)
      return key === undefined ? undefined : steps.get(key)
    },
    has: ({ digest }) => [...steps.values()].some(step => step.layer.digest === digest),
    findCacheRecords(like, limit) {
      const isLike = ({ description, key: { parts } }: ImportedStep): boolean =>
        'description' in like
          ? description === like.description
          : like.firstParts.every(
              ([name, value], index) => parts[index]?.[0] === name && parts[index]?.[1] === value,
            )
      const found = [...steps.values()].filter(isLike).slice(0, limit)
      return found.map(({ key: { digest, parts }, description }) => ({ key: digest, parts, description }))
    },
    lostFrom: key => lostFrom.get(key),
    isHeld: digest => held.has(digest),
  }

  /** Forgets the steps of those that cannot be had. False when there is none. */
  const giveUp = async (wanted: readonly ResultLayer[], error: Error): Promise<boolean> => {
    const lost = new Set<Digest>()
    for (const layer of wanted) if (!(await isUsable(layer))) lost.add(layer.digest)
    const given = [...steps].filter(([, { layer }]) => lost.has(layer.digest))
    for (const [key, { from }] of given) {
      steps.delete(key)
      lostFrom.set(key, from)
    }
    const broken = given.filter(([, { layer }]) => held.has(layer.digest))
    for (const from of new Set(broken.map(([, step]) => step.from)))
      warn(`Cannot use a layer of the cache ${from}, so its step is executed: ${error.message}`)
    return given.length > 0
  }

  const orGivenUp = async <T>(
    wanted: readonly ResultLayer[],
    { signal }: FetchContext,
    fetch: () => Promise<T>,
  ): Promise<T> => {
    try {
      return await fetch()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof CodedError) || !(await giveUp(wanted, error))) throw error
      throw new BuildError('layer-lost', error.message, { cause: error })
    }
  }

  return {
    imported,
    layers: {
      ...layers,
      require: (wanted, context) => orGivenUp(wanted, context, () => layers.require(wanted, context)),
      readTars: (wanted, context, read) =>
        orGivenUp(wanted, context, () => layers.readTars(wanted, context, read)),
    },
  }
}

/** Goes on with the next attempt until none of them needs an imported layer that is lost. */
export async function untilNothingIsLost<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      // Every attempt that ends so has fewer steps for the next one.
      if (!isLayerLost(error)) throw error
    }
  }
}
