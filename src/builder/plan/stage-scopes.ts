import { formatPlatform } from '../../oci/platform.ts'
import type { IgnoreRules } from '../context/ignore.ts'
import type { Dockerfile, Instruction, Stage, Warning } from '../dockerfile/instructions.ts'
import type { GlobalArguments } from './arguments.ts'
import type { Base } from './expand-base.ts'
import type { Origins } from './origins.ts'
import type { PlanOptions } from './plan-options.ts'
import type { StageDraft } from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'
import { findStage } from './stages.ts'
import { countSteps, type StepPlace } from './step-names.ts'
import type { Vertices } from './vertices.ts'
import { type Expand, expandInStages } from './words.ts'

/** What all stages of a Dockerfile share. */
export interface SharedScope {
  readonly expand: Expand
  readonly globals: GlobalArguments
  /** Names of ARGs, added to as they are met. */
  readonly consumed: Set<string>
  /** What the build context leaves out, where there is to be a warning of copying it. */
  readonly ignored?: IgnoreRules
  warn(warning: Warning): void
}

export interface StageScopesDeps extends SharedScope {
  readonly vertices: Vertices
  readonly nameStep: (place: StepPlace, title: string) => string
  readonly origins: Origins
}

/** @param instructions of the stage, those of the base image's triggers first */
export type CreateStageScope = (
  stage: Stage,
  base: Base,
  start: StageDraft,
  instructions: readonly Instruction[],
) => StageScope

export function createStageScopes(
  dockerfile: Dockerfile,
  options: PlanOptions,
  { expand, globals, consumed, ignored, warn, vertices, nameStep, origins }: StageScopesDeps,
): CreateStageScope {
  const { buildArgs, network, extraHosts, allow, sourceDateEpoch } = options
  const uncached = new Set(options.noCacheStages.map(word => findStage(dockerfile, word)?.index))
  return (stage, base, start, instructions) => {
    const { platform } = base
    const { shown, counted } = origins.stepsBefore(stage, base)
    const total = counted + countSteps(instructions)
    const ignoreCache = options.noCache || uncached.has(stage.index)
    let step = shown
    return {
      expand: expandInStages(expand, warn),
      warn,
      ignored,
      buildArgs,
      globals,
      consumed,
      network,
      hostname: buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME') ?? 'buildkitsandbox',
      extraHosts,
      allow,
      platform: formatPlatform(start.image.config),
      createdAt: sourceDateEpoch ?? start.createdAt,
      linkedAt: sourceDateEpoch ?? 0,
      findSource: (word, span) => origins.source(stage, base, word, span),
      findDirectory: origins.directory,
      createVertex(definition, inputs, title, span, shell) {
        step++
        const name = nameStep({ stage, platform, step, total }, title)
        return vertices.create(definition, inputs, name, span, ignoreCache, shell)
      },
    }
  }
}
