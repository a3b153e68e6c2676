import { join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import { attestsAnything, createAttester } from './attest/attest.ts'
import { type BuildRecord, createBuildRecord } from './attest/build-record.ts'
import { openBuildOps } from './build-ops.ts'
import type { BuildDeps, BuildOptions, BuildResult } from './build-options.ts'
import { type BuildCaches, createBuildCaches } from './cache/build-caches.ts'
import { buildWarning, refuseWarnings } from './check.ts'
import { parseGoBoolean } from './dockerfile/go-boolean.ts'
import { BuildError } from './errors.ts'
import { assembleImage, imagesSize } from './export/assemble.ts'
import { createImageGraph, type ImageGraph } from './export/image-graph.ts'
import { DEFAULT_IMAGE_SETTINGS } from './export/image-settings.ts'
import { createLayerVariants } from './export/layer-variants.ts'
import type { Output } from './export/output.ts'
import { checkPush } from './export/push.ts'
import {
  type BuildProduct,
  checkOutputs,
  type OutputDeps,
  outputTitle,
  type PlatformImage,
  writeOutput,
} from './export/write-outputs.ts'
import { createBuildLogs } from './logs/build-logs.ts'
import type { PlanWarning } from './plan/plan.ts'
import { distinctWarnings, type PlatformPlan } from './plan/plan-platforms.ts'
import { createFindImage, planImages } from './plan-images.ts'
import { withProgress } from './solve/progress.ts'
import type { Solution } from './solve/step.ts'
import type { Result } from './solve/vertex.ts'
import { createImageTree, type OpenTree } from './tree/image-tree.ts'
import { createMergedTrees } from './tree/merged-trees.ts'

/**
 * Builds an image (or the files of one) from a Dockerfile and writes every output.
 * @throws BuildError, or the error of the area that failed; the signal's reason when it is aborted
 */
export async function build(options: BuildOptions, deps: BuildDeps): Promise<BuildResult> {
  const { store, signal, now } = deps
  signal.throwIfAborted()
  const isIndex = makesIndex(options)
  const outputs: readonly Output[] = options.outputs.length > 0 ? options.outputs : [{ type: 'store' }]
  checkOutputs(outputs, isIndex, attestsAnything(options.attestations))
  checkPush(outputs, options.tags)
  const startedAt = now()
  const caches = createBuildCaches(options, deps)
  const { layers, importedMounts } = caches
  const temporaryDirectory = join(store.root, 'tmp')
  const trees = createMergedTrees(store.layers)
  const openTree = async (result: Result, treeSignal: AbortSignal): Promise<OpenTree> => {
    const records = await layers.require(result.layers, { signal: treeSignal, status: () => undefined })
    return createImageTree(records, { layers: store.layers, trees, temporaryDirectory })
  }
  using logs = createBuildLogs(store.root, now)
  await using ops = openBuildOps(options, {
    ...deps,
    layers,
    importedMounts,
    temporaryDirectory,
    openTree,
    logs,
  })
  const findImage = createFindImage(options, deps, layers)
  const record = createBuildRecord({ resolveImage: findImage, createOp: ops.createOp })

  const plans = await planImages(options, { ...deps, ...record, layers })
  const warnings = distinctWarnings(plans)
  if (plans.some(plan => plan.failsOnWarnings)) refuseWarnings(warnings)
  await caches.import()
  const targets = plans.map(({ target }) => target)
  const needsLayers = outputs.some(({ type }) => type !== 'cacheonly')
  // Saved also after a failure: the build that comes next is this one, mended.
  const solved = await caches.solve(targets, needsLayers).finally(() => ops.save())

  const images = plans.map(plan => platformImage(plan, solved, caches, deps))
  const product = { images, isIndex, tags: options.tags }
  const attester = createBuildAttester(options, { ...deps, record, openTree, temporaryDirectory, startedAt })
  const variants = createLayerVariants({ store, layers, now })
  const written = await writeProduct(outputs, product, { ...deps, layers, variants, openTree, ...attester })
  await caches.export(
    solved,
    images.map(({ result }) => result),
    targets,
  )
  const { directory } = logs
  return {
    ...resultOf(written ?? unwritten(product), plans, warnings),
    ...(directory !== undefined && { logs: directory }),
  }
}

function platformImage(
  { target, image: draft, platform }: PlatformPlan,
  solutions: ReadonlyMap<Digest, Solution>,
  caches: BuildCaches,
  { sourceDateEpoch }: BuildDeps,
): PlatformImage {
  const result = solutions.get(target.digest)?.result ?? EMPTY_ROOT
  const inlineSteps = caches.inlineSteps(solutions, target)
  return {
    draft,
    layers: result.layers,
    solutions,
    result,
    target,
    platform,
    ...(sourceDateEpoch !== undefined && { sourceDateEpoch }),
    ...(inlineSteps !== undefined && { inlineSteps }),
  }
}

const EMPTY_ROOT: Result = { chainID: undefined, layers: [] }

interface BuildAttesterDeps extends BuildDeps, Pick<OutputDeps, 'openTree'> {
  readonly record: BuildRecord
  readonly temporaryDirectory: string
  readonly startedAt: number
}

/** None where nothing is to be said beside the images. */
function createBuildAttester(options: BuildOptions, deps: BuildAttesterDeps): Pick<OutputDeps, 'attester'> {
  const { attestations, namedContexts } = options
  if (!attestsAnything(attestations)) return {}
  const request = { ...options, contexts: [...namedContexts.keys()] }
  return { attester: createAttester(attestations, { ...deps, request }) }
}

/** @returns the image of the first output that has one */
async function writeProduct(
  outputs: readonly Output[],
  product: BuildProduct,
  deps: BuildDeps & OutputDeps,
): Promise<ImageGraph | undefined> {
  let first: ImageGraph | undefined
  for (const output of outputs) {
    const graph = await withProgress(outputTitle(output), deps, context =>
      writeOutput(output, product, deps, context),
    )
    first ??= graph
  }
  return first
}

/** What the images would be that no output wants. */
function unwritten({ images, isIndex }: BuildProduct): ImageGraph {
  const assembled = images.map(({ draft, layers, solutions, sourceDateEpoch, platform }) => ({
    image: assembleImage(draft, layers, solutions, sourceDateEpoch),
    platform,
    attestations: [],
  }))
  return createImageGraph(assembled, DEFAULT_IMAGE_SETTINGS, isIndex)
}

function resultOf(
  { root, images }: ImageGraph,
  plans: readonly PlatformPlan[],
  warnings: readonly PlanWarning[],
): BuildResult {
  const [image, ...others] = images
  return {
    imageID: image === undefined || others.length > 0 ? root.digest : image.config.descriptor.digest,
    digest: root.digest,
    descriptor: root,
    images: images.map(({ manifest }, index) => ({
      platform: plans[index]?.platform ?? { os: 'unknown', architecture: 'unknown' },
      digest: manifest.descriptor.digest,
    })),
    size: imagesSize(images),
    warnings: warnings.map(buildWarning),
  }
}

/** Several platforms make an index; `BUILDKIT_MULTI_PLATFORM` asks for one over a single image. */
function makesIndex({ platforms, buildArgs }: Pick<BuildOptions, 'platforms' | 'buildArgs'>): boolean {
  const asked = buildArgs.get('BUILDKIT_MULTI_PLATFORM') ?? 'false'
  const isAsked = platforms.length > 1 || parseGoBoolean(asked)
  if (isAsked !== undefined) return isAsked
  throw new BuildError(
    'build-option-invalid',
    `Cannot read the build arg BUILDKIT_MULTI_PLATFORM: it is ${JSON.stringify(asked)}, not true or false`,
  )
}
