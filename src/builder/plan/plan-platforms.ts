/** One plan for each platform. Vertices that are equal in several plans, such as those of a stage of the build's own
 * platform, have equal digests, and so are solved once. */
import { formatPlatform, type Platform } from '../../oci/platform.ts'
import { formatReference } from '../../oci/reference.ts'
import type { Dockerfile } from '../dockerfile/instructions.ts'
import type { BaseImage, ResolveImage } from '../images/base-image.ts'
import { orderWarnings } from './order-warnings.ts'
import { type Plan, type PlanDeps, type PlanWarning, planBuild } from './plan.ts'
import type { PlanOptions } from './plan-options.ts'

export interface PlatformPlan extends Plan {
  readonly platform: Platform
}

/**
 * @param platforms none means that of the host, without a word about it in the image
 * @throws as `planBuild` does
 */
export async function planPlatforms(
  dockerfile: Dockerfile,
  platforms: readonly Platform[],
  options: Omit<PlanOptions, 'platform' | 'namesPlatform'>,
  deps: PlanDeps,
): Promise<readonly PlatformPlan[]> {
  if (platforms.length === 0)
    return [{ ...(await planBuild(dockerfile, options, deps)), platform: options.hostPlatform }]
  const failed = new AbortController()
  const signal = AbortSignal.any([deps.signal, failed.signal])
  const shared = { ...deps, signal, resolveImage: once(deps.resolveImage) }
  const namesPlatform = platforms.length > 1
  const plans = platforms.map(async platform => {
    try {
      const plan = await planBuild(dockerfile, { ...options, platform, namesPlatform }, shared)
      return { ...plan, platform }
    } catch (error) {
      failed.abort(error)
      throw error
    }
  })
  await Promise.allSettled(plans)
  failed.signal.throwIfAborted()
  return Promise.all(plans)
}

/** Of all plans, each once, in the order of BuildKit. */
export function distinctWarnings(plans: readonly Pick<Plan, 'warnings'>[]): readonly PlanWarning[] {
  const warnings = plans.flatMap(plan => plan.warnings)
  return orderWarnings([...new Map(warnings.map(warning => [keyOf(warning), warning])).values()])
}

function keyOf({ rule, message, span }: PlanWarning): string {
  return JSON.stringify([rule, message, span?.startLine, span?.endLine])
}

function once(resolve: ResolveImage): ResolveImage {
  const images = new Map<string, Promise<BaseImage>>()
  return (reference, platform, signal) => {
    const key = `${formatReference(reference)} ${formatPlatform(platform)}`
    const image = images.get(key) ?? resolve(reference, platform, signal)
    images.set(key, image)
    return image
  }
}
