import { join } from 'node:path'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { type AttestationSettings, attestsAnything, createAttester } from './attest/attest.ts'
import { createBuildRecord } from './attest/build-record.ts'
import { type BuildContext, createBuildContext, readIgnoreFile } from './build-context.ts'
import { createBuildCaches } from './cache/build-caches.ts'
import type { CacheSource, CacheTarget } from './cache/cache-end.ts'
import type { CacheRegistries } from './cache/export-cache.ts'
import type { IgnoreRules } from './context/ignore.ts'
import { openContextTrees } from './context-trees.ts'
import { parseDockerfile } from './dockerfile/parse.ts'
import type { DockerfileSource, SourceSpan } from './dockerfile/source.ts'
import { BuildError } from './errors.ts'
import type { NetworkMode } from './exec/executor.ts'
import type { ContainerLimits } from './exec/limits.ts'
import { assembleImage, imagesSize } from './export/assemble.ts'
import { createImageGraph, type ImageGraph } from './export/image-graph.ts'
import { DEFAULT_IMAGE_SETTINGS } from './export/image-settings.ts'
import { createLayerVariants } from './export/layer-variants.ts'
import { commonCompression, type Output } from './export/output.ts'
import { checkPush } from './export/push.ts'
import { type BuildProduct, checkOutputs, outputTitle, writeOutput } from './export/write-outputs.ts'
import type { Sources } from './fetch/sources.ts'
import { createImageLayers } from './images/image-layers.ts'
import type { ImageRegistries } from './images/registry-source.ts'
import { createResolveImage } from './images/resolve-image.ts'
import { createResolveLayout } from './images/resolve-layout.ts'
import { createBuildLogs } from './logs/build-logs.ts'
import { createOpFactory } from './ops/create-op.ts'
import type { Sandbox } from './ops/run.ts'
import { createUnpack } from './ops/unpack-layers.ts'
import type { NamedContext } from './plan/named-contexts.ts'
import type { PlanWarning } from './plan/plan.ts'
import type { Entitlement } from './plan/plan-options.ts'
import { distinctWarnings, type PlatformPlan, planPlatforms } from './plan/plan-platforms.ts'
import { readSecret, type SecretSource } from './secrets.ts'
import type { Explanation } from './solve/explain.ts'
import type { OnFailure } from './solve/failure.ts'
import { type ProgressSink, withProgress } from './solve/progress.ts'
import type { Op, Result } from './solve/vertex.ts'
import type { FileTree } from './tree/file-tree.ts'
import { createImageTree, type OpenTree } from './tree/image-tree.ts'

export type { Output } from './export/output.ts'
export type { Sandbox } from './ops/run.ts'

export interface BuildOptions {
  /** What COPY and ADD read: a directory, or files that were read from elsewhere. */
  readonly context: string | FileTree
  readonly dockerfile: DockerfileSource
  /** Where the Dockerfile lies on disk: `<path>.dockerignore` beats the context's `.dockerignore`. */
  readonly dockerfilePath?: string
  /** Names for the image, without digests; a name without a tag gets `latest`. */
  readonly tags: readonly Reference[]
  readonly buildArgs: ReadonlyMap<string, string>
  /** Name or index of the stage to build; the last one by default. */
  readonly target?: string
  /** Added to the image's labels, over those of the Dockerfile. */
  readonly labels: ReadonlyMap<string, string>
  /** Executes every step, although it may be in the cache. */
  readonly noCache: boolean
  /** Names or indexes of stages whose steps are executed, although they may be in the cache. */
  readonly noCacheStages: readonly string[]
  /** Asks registries for newer base images, although they are in the store. */
  readonly pull: boolean
  /** What names of stages and images stand for instead (`--build-context`). */
  readonly namedContexts: ReadonlyMap<string, NamedContext>
  /** Caches of other machines, where steps are looked for that are not in our own. */
  readonly cacheFrom: readonly CacheSource[]
  /** Where other machines will look for the steps of this build. */
  readonly cacheTo: readonly CacheTarget[]
  readonly network: NetworkMode
  /** What steps may ask for that takes walls away. */
  readonly allow: ReadonlySet<Entitlement>
  /** Of every RUN. */
  readonly limits: ContainerLimits
  /** None means the store. */
  readonly outputs: readonly Output[]
  /** Of the image, one or several; the host's where there is none. */
  readonly platforms: readonly Platform[]
  /** `name:address` for /etc/hosts of RUN. */
  readonly extraHosts: readonly string[]
  /** What to say of the image beside it. */
  readonly attestations: AttestationSettings
  /** By id; read when a step needs them. */
  readonly secrets: ReadonlyMap<string, SecretSource>
}

export interface BuildDeps {
  readonly store: Store
  readonly remote: ImageRegistries & CacheRegistries
  /** Called before a step for a platform (`linux/arm64`) is run. @throws BuildError `platform-unsupported` */
  readonly requirePlatform: (platform: string) => Promise<void>
  /** What ADD and steps take from elsewhere; the caller closes it. */
  readonly sources: Sources
  /** Called at most once, and only when a RUN has to be executed. */
  readonly openSandbox: () => Promise<Sandbox>
  readonly progress: ProgressSink
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Milliseconds of a monotonic clock, for progress. */
  readonly monotonicNow: () => number
  readonly signal: AbortSignal
  readonly hostPlatform: Platform
  /** Seconds since the epoch: no time in what the build makes is later (SOURCE_DATE_EPOCH). */
  readonly sourceDateEpoch?: number
  /** Containers that run at once. */
  readonly concurrency: number
  /** Shown what a step that failed has left, before it is taken away. */
  readonly onFailure?: OnFailure
  /** Told why each step is executed, before it is. */
  readonly explain?: (explanation: Explanation) => void
}

export interface BuildWarning {
  /** The name of BuildKit's rule. */
  readonly rule?: string
  readonly text: string
  readonly span?: SourceSpan
}

export interface BuildResult {
  /** Digest of the image config; of several images that of the index. */
  readonly imageID: Digest
  /** Digest of the image manifest, or of the index that holds it: of the first output that has an image. */
  readonly digest: Digest
  /** Of the same. */
  readonly descriptor: Descriptor
  readonly images: readonly { readonly platform: Platform; readonly digest: Digest }[]
  /** Configs and compressed layers, in bytes; what occurs twice counts once. */
  readonly size: number
  readonly warnings: readonly BuildWarning[]
  /** The directory with what the executed steps printed, where any was executed. */
  readonly logs?: string
}

/**
 * Builds an image (or the files of one) from a Dockerfile and writes every output.
 * @throws BuildError, or the error of the area that failed; the signal's reason when it is aborted
 */
export async function build(options: BuildOptions, deps: BuildDeps): Promise<BuildResult> {
  const { store, progress, signal, monotonicNow, now, sourceDateEpoch } = deps
  signal.throwIfAborted()
  const epoch = sourceDateEpoch === undefined ? {} : { sourceDateEpoch }
  const isIndex = makesIndex(options)
  const outputs: readonly Output[] = options.outputs.length > 0 ? options.outputs : [{ type: 'store' }]
  const attests = attestsAnything(options.attestations)
  checkOutputs(outputs, isIndex, attests)
  checkPush(outputs, options.tags)
  const startedAt = now()
  const caches = createBuildCaches(options, deps)
  const { layers } = caches
  const temporaryDirectory = join(store.root, 'tmp')
  const openTree = async (result: Result, treeSignal: AbortSignal): Promise<OpenTree> => {
    const records = await layers.require(result.layers, { signal: treeSignal, status: () => undefined })
    return createImageTree(records, { layers: store.layers, temporaryDirectory })
  }
  using logs = createBuildLogs(store.root, now)
  const digestDirectory = join(store.root, 'context-digests')
  const context = openContext(options, digestDirectory, now)
  await using named = openContextTrees(options.namedContexts, {
    ...deps,
    digestDirectory,
    temporaryDirectory,
  })
  const opFactory = createOpFactory({
    layers: store.layers,
    compression: commonCompression(options.outputs),
    temporaryDirectory,
    downloads: deps.sources.downloads,
    git: deps.sources.git,
    ssh: deps.sources.ssh,
    context: { kind: 'context', tree: context.tree },
    namedContexts: named.origins,
    openTree,
    requireLayers: (result, opContext) => layers.require(result.layers, opContext),
    openSandbox: once(deps.openSandbox),
    unpack: createUnpack(store.layers),
    readSecret: id => readSecret(options.secrets, id),
    requirePlatform: deps.requirePlatform,
    limits: options.limits,
    openLog: logs.open,
  })
  const { remote } = deps
  const { pull } = options
  const findImage = createResolveImage({ store, remote, layers, pull, progress, monotonicNow })
  const record = createBuildRecord({ resolveImage: findImage, createOp: opFactory })
  const { resolveImage, createOp } = record
  const resolveLayout = createResolveLayout(layers)

  const dockerfile = parseDockerfile(options.dockerfile)
  const planOptions = { ...options, hostPlatform: deps.hostPlatform, ...epoch }
  const ignoreRules = () => ignoreRulesOf(options)
  const planDeps = { resolveImage, resolveLayout, createOp, ignoreRules, signal }
  const plans = await planPlatforms(dockerfile, options.platforms, planOptions, planDeps)
  const warnings = distinctWarnings(plans)
  if (plans.some(plan => plan.failsOnWarnings)) refuseWarnings(warnings)
  await caches.import()
  // Also after a failure: the build that comes next is this one, mended.
  const targets = plans.map(({ target }) => target)
  const needsLayers = outputs.some(({ type }) => type !== 'cacheonly')
  const solved = await caches
    .solve(targets, needsLayers)
    .finally(() => Promise.all([context.save(), named.save()]))
  const images = plans.map(({ target, image, platform }) => {
    const result = solved.get(target.digest)?.result ?? EMPTY_ROOT
    const inlineSteps = caches.inlineSteps(solved, target)
    const solvedImage = {
      draft: image,
      layers: result.layers,
      solutions: solved,
      ...epoch,
      result,
      target,
      platform,
    }
    return { ...solvedImage, ...(inlineSteps !== undefined && { inlineSteps }) }
  })
  const product = { images, isIndex, tags: options.tags }
  const variants = createLayerVariants({ store, layers, now })
  const attester = attests
    ? createAttester(options.attestations, {
        request: { ...options, contexts: [...options.namedContexts.keys()] },
        hostPlatform: deps.hostPlatform,
        record,
        openTree,
        temporaryDirectory,
        now,
        startedAt,
        ...epoch,
      })
    : undefined
  const outputDeps = {
    store,
    layers,
    variants,
    remote,
    openTree,
    ...(attester !== undefined && { attester }),
  }
  const written: ImageGraph[] = []
  for (const output of outputs) {
    const graph = await withProgress(outputTitle(output), deps, stepContext =>
      writeOutput(output, product, outputDeps, stepContext),
    )
    if (graph !== undefined) written.push(graph)
  }
  await caches.export(
    solved,
    images.map(({ result }) => result),
  )
  const { directory } = logs
  return {
    ...resultOf(written[0] ?? unwritten(product), plans, warnings),
    ...(directory !== undefined && { logs: directory }),
  }
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

export interface CheckResult {
  readonly warnings: readonly BuildWarning[]
  /** Whether the Dockerfile wants no build where a rule finds something. */
  readonly failsOnWarnings: boolean
}

/**
 * What is to be said of a Dockerfile without building it: base images are looked up, nothing else is done.
 * @throws BuildError for what cannot be built; the signal's reason
 */
export async function check(options: BuildOptions, deps: BuildDeps): Promise<CheckResult> {
  const { store, remote, progress, monotonicNow, signal, hostPlatform } = deps
  signal.throwIfAborted()
  const layers = createImageLayers(store)
  const { pull } = options
  const plans = await planPlatforms(
    parseDockerfile(options.dockerfile),
    options.platforms,
    { ...options, hostPlatform, everyStage: options.target === undefined },
    {
      resolveImage: createResolveImage({ store, remote, layers, pull, progress, monotonicNow }),
      resolveLayout: createResolveLayout(layers),
      createOp: () => UNSOLVED,
      ignoreRules: () => ignoreRulesOf(options),
      signal,
    },
  )
  return {
    warnings: distinctWarnings(plans).map(buildWarning),
    failsOnWarnings: plans.some(plan => plan.failsOnWarnings),
  }
}

/** Of a directory; what else is a context comes without what it leaves out. */
async function ignoreRulesOf({ context, dockerfilePath }: BuildOptions): Promise<IgnoreRules | undefined> {
  if (typeof context !== 'string') return undefined
  return readIgnoreFile({ directory: context, ...(dockerfilePath !== undefined && { dockerfilePath }) })
}

/** Of a plan that is not solved. */
const UNSOLVED: Op = { kind: 'base', exec: () => Promise.resolve(EMPTY_ROOT) }

function buildWarning({ message, span, rule }: PlanWarning): BuildWarning {
  return { text: message, ...(span !== undefined && { span }), ...(rule !== undefined && { rule }) }
}

function refuseWarnings(warnings: readonly PlanWarning[]): void {
  const [first, ...others] = warnings.filter(({ rule }) => rule !== undefined)
  if (first === undefined) return
  const more = others.length === 0 ? '' : ` (and ${others.length} more; --check shows all)`
  throw new BuildError('check-failed', `Cannot build: ${first.rule}: ${first.message}${more}`, {
    hint: 'the Dockerfile says check=error=true; check=skip=RULE leaves a rule out',
    ...(first.span !== undefined && { span: first.span }),
  })
}

/** Several platforms make an index; `BUILDKIT_MULTI_PLATFORM` asks for one over a single image. */
function makesIndex({ platforms, buildArgs }: Pick<BuildOptions, 'platforms' | 'buildArgs'>): boolean {
  const asked = buildArgs.get('BUILDKIT_MULTI_PLATFORM') ?? 'false'
  if (platforms.length > 1 || /^(1|t|true)$/i.test(asked)) return true
  if (/^(0|f|false)$/i.test(asked)) return false
  throw new BuildError(
    'build-option-invalid',
    `Cannot read the build arg BUILDKIT_MULTI_PLATFORM: it is ${JSON.stringify(asked)}, not true or false`,
  )
}

function openContext(
  { context, dockerfilePath }: BuildOptions,
  digestDirectory: string,
  now: () => number,
): Pick<BuildContext, 'save'> & { readonly tree: FileTree } {
  if (typeof context !== 'string') return { tree: context, save: () => Promise.resolve() }
  return createBuildContext({
    directory: context,
    ...(dockerfilePath !== undefined && { dockerfilePath }),
    digestDirectory,
    now,
  })
}

const EMPTY_ROOT: Result = { chainID: undefined, layers: [] }

function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined
  return () => {
    opened ??= open()
    return opened
  }
}
