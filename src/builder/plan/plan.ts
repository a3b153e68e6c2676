/**
 * From instructions to a graph of vertices and the draft of an image config. Stages are planned on demand from the
 * target: one that nothing needs is never looked at again, and its base is not resolved (semantics 109). Nothing is
 * executed here; the only thing waited for is what base images say.
 */
import type { IgnoreRules } from '../context/ignore.ts'
import { isChecked, parseCheck } from '../dockerfile/check.ts'
import type { Dockerfile, Warning } from '../dockerfile/instructions.ts'
import type { ResolveImage } from '../images/base-image.ts'
import type { ResolveLayout } from '../images/resolve-layout.ts'
import type { Vertex } from '../solve/vertex.ts'
import { globalArguments, platformArguments, unconsumed } from './arguments.ts'
import { createBaseImages } from './base-images.ts'
import { lintBases } from './lint-bases.ts'
import type { CreateOp } from './op-definition.ts'
import type { PlanOptions } from './plan-options.ts'
import { createPlanner } from './planner.ts'
import { type ImageDraft, type StageDraft, withConfig } from './stage-draft.ts'
import { findStage, findTarget, stageNames } from './stages.ts'
import { createExpand } from './words.ts'

export interface PlanDeps {
  readonly resolveImage: ResolveImage
  readonly resolveLayout: ResolveLayout
  readonly createOp: CreateOp
  /** What the build context leaves out; asked when the Dockerfile wants to be told of it. */
  readonly ignoreRules?: () => Promise<IgnoreRules | undefined>
  readonly signal: AbortSignal
}

export interface Plan {
  /** The root filesystem of the image. */
  readonly target: Vertex
  readonly image: ImageDraft
  readonly warnings: readonly PlanWarning[]
  /** Whether the Dockerfile wants no build where a rule finds something (`check=error=true`). */
  readonly failsOnWarnings: boolean
}

export type PlanWarning = Pick<Warning, 'message'> & Partial<Warning>

/**
 * @throws BuildError with the place of the instruction; the signal's reason. When it throws, nothing it started
 *   is still running
 */
export async function planBuild(dockerfile: Dockerfile, options: PlanOptions, deps: PlanDeps): Promise<Plan> {
  const { buildArgs, hostPlatform } = options
  const stage = findTarget(dockerfile, options.target)
  const warnings: PlanWarning[] = []
  const check = parseCheck(
    buildArgs.get('BUILDKIT_DOCKERFILE_CHECK') ?? dockerfile.directives.check?.split(/\s/, 1)[0],
  )
  const warn = (warning: Warning): void => {
    if (isChecked(warning, check)) warnings.push(warning)
  }
  for (const warning of dockerfile.warnings) warn(warning)
  const expand = createExpand(dockerfile.directives)
  const platformValues = platformArguments(hostPlatform, options.platform ?? hostPlatform, options.target)
  const globals = globalArguments(dockerfile, buildArgs, platformValues, expand)
  const consumed = new Set(globals.declared)

  for (const warning of lintBases(dockerfile, { globals, platformValues, hostPlatform, expand }))
    warn(warning)
  const failed = new AbortController()
  const signal = AbortSignal.any([deps.signal, failed.signal])
  const { resolveImage, resolveLayout, createOp } = deps
  const images = createBaseImages({ resolveImage, signal, stageNames: stageNames(dockerfile), warn })
  const ignored = isChecked({ rule: 'CopyIgnoredFile' }, check) ? await deps.ignoreRules?.() : undefined
  const planner = createPlanner(dockerfile, options, {
    expand,
    globals,
    consumed,
    images,
    resolveLayout,
    createOp,
    warn,
    ...(ignored !== undefined && { ignored }),
  })
  try {
    const { root, image } = withOptions(await planner.draft(stage), options)
    if (options.everyStage === true) for (const other of dockerfile.stages) await planner.draft(other)
    const unused = unconsumed(buildArgs, consumed)
    if (unused.length > 0) warnings.push({ message: `No ARG takes the build args ${unused.join(', ')}` })
    const unknown = options.noCacheStages.filter(word => findStage(dockerfile, word) === undefined)
    if (unknown.length > 0)
      warnings.push({ message: `There is no stage ${unknown.join(', ')} to build without the cache` })
    return { target: root, image, warnings, failsOnWarnings: check.error }
  } catch (error) {
    failed.abort(error)
    await planner.settle()
    throw error
  }
}

/** What the command line says of the image itself. */
function withOptions(draft: StageDraft, { labels, platform }: PlanOptions): StageDraft {
  const { Labels } = draft.image.config.config
  const labeled =
    labels.size === 0 ? draft : withConfig(draft, { Labels: { ...Labels, ...Object.fromEntries(labels) } })
  if (platform === undefined) return labeled
  const { image } = labeled
  const { variant: _, ...config } = image.config
  return { ...labeled, image: { ...image, config: { ...config, ...platform } } }
}
