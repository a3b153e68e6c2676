import type { BuildDeps, BuildOptions, BuildWarning } from './build-options.ts'
import { BuildError } from './errors.ts'
import { createImageLayers } from './images/image-layers.ts'
import { ENTITLEMENTS } from './plan/entitlements.ts'
import type { PlanWarning } from './plan/plan.ts'
import { distinctWarnings } from './plan/plan-platforms.ts'
import { createFindImage, planImages } from './plan-images.ts'
import type { Op } from './solve/vertex.ts'

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
  deps.signal.throwIfAborted()
  const layers = createImageLayers(deps.store)
  const { signal, hostPlatform } = deps
  const resolveImage = createFindImage(options, deps, layers)
  const plans = await planImages(
    // Nothing runs: what a step may do is no matter.
    { ...options, allow: new Set(ENTITLEMENTS) },
    { resolveImage, createOp: () => UNSOLVED, layers, signal, hostPlatform },
    { everyStage: options.target === undefined },
  )
  return {
    warnings: distinctWarnings(plans).map(buildWarning),
    failsOnWarnings: plans.some(plan => plan.failsOnWarnings),
  }
}

/** Of a plan that is not solved. */
const UNSOLVED: Op = { kind: 'base', exec: async () => ({ chainID: undefined, layers: [] }) }

export function buildWarning({ message, span, rule }: PlanWarning): BuildWarning {
  return { text: message, ...(span !== undefined && { span }), ...(rule !== undefined && { rule }) }
}

/** For a Dockerfile that says so (`check=error=true`). @throws BuildError `check-failed` */
export function refuseWarnings(warnings: readonly PlanWarning[]): void {
  const [first, ...others] = warnings.filter(({ rule }) => rule !== undefined)
  if (first === undefined) return
  const more = others.length === 0 ? '' : ` (and ${others.length} more; --check shows all)`
  throw new BuildError('check-failed', `Cannot build: ${first.rule}: ${first.message}${more}`, {
    hint: 'the Dockerfile says check=error=true; check=skip=RULE leaves a rule out',
    ...(first.span !== undefined && { span: first.span }),
  })
}
