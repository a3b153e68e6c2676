import { DEFAULT_LIMITS, type Limits, limitExceeded } from '../oci/limits.ts'
import { readIgnoreFile } from './build-context.ts'
import type { BuildDeps, BuildOptions } from './build-options.ts'
import type { IgnoreRules } from './context/ignore.ts'
import { parseDockerfile } from './dockerfile/parse.ts'
import type { DockerfileSource } from './dockerfile/source.ts'
import type { ResolveImage } from './images/base-image.ts'
import type { ImageLayers } from './images/image-layers.ts'
import { createResolveImage } from './images/resolve-image.ts'
import { createResolveLayout } from './images/resolve-layout.ts'
import type { PlanDeps } from './plan/plan.ts'
import { type PlatformPlan, planPlatforms } from './plan/plan-platforms.ts'

export interface PlanImagesDeps
  extends Pick<PlanDeps, 'resolveImage' | 'createOp'>,
    Pick<BuildDeps, 'signal' | 'hostPlatform' | 'sourceDateEpoch' | 'contentLimits'> {
  readonly layers: ImageLayers
}

/** A plan for each platform. @throws BuildError for what cannot be built; the signal's reason */
export function planImages(
  options: BuildOptions,
  deps: PlanImagesDeps,
  { everyStage = false } = {},
): Promise<readonly PlatformPlan[]> {
  const { resolveImage, createOp, layers, signal, hostPlatform, sourceDateEpoch, contentLimits } = deps
  checkSize(options.dockerfile, contentLimits)
  return planPlatforms(
    parseDockerfile(options.dockerfile),
    options.platforms,
    { ...options, hostPlatform, everyStage, ...(sourceDateEpoch !== undefined && { sourceDateEpoch }) },
    {
      resolveImage,
      resolveLayout: createResolveLayout(layers, contentLimits),
      createOp,
      ignoreRules: () => ignoreRulesOf(options),
      signal,
    },
  )
}

function checkSize({ text }: DockerfileSource, limits?: Partial<Limits>): void {
  const { dockerfileBytes } = { ...DEFAULT_LIMITS, ...limits }
  if (Buffer.byteLength(text) > dockerfileBytes)
    throw limitExceeded('dockerfileBytes', dockerfileBytes, 'Cannot read Dockerfile: it is too long')
}

/** Finds base images: in the store, else where their names say. */
export function createFindImage(
  { pull }: Pick<BuildOptions, 'pull'>,
  deps: BuildDeps,
  layers: ImageLayers,
): ResolveImage {
  const { store, remote, progress, monotonicNow, contentLimits } = deps
  return createResolveImage({
    store,
    remote,
    layers,
    pull,
    progress,
    monotonicNow,
    ...(contentLimits !== undefined && { contentLimits }),
  })
}

/** Of a directory; what else is a context comes without what it leaves out. */
async function ignoreRulesOf({ context, dockerfilePath }: BuildOptions): Promise<IgnoreRules | undefined> {
  if (typeof context !== 'string') return undefined
  return readIgnoreFile({ directory: context, ...(dockerfilePath !== undefined && { dockerfilePath }) })
}
