import type { Dockerfile, Instruction, Stage } from '../dockerfile/instructions.ts'
import { parseOnbuildTrigger } from '../dockerfile/onbuild.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { withSpan } from '../errors.ts'
import type { ResolveLayout } from '../images/resolve-layout.ts'
import type { BaseImages } from './base-images.ts'
import { type Base, expandBase } from './expand-base.ts'
import { lintStage } from './lint-stage.ts'
import { applyMetadata } from './metadata.ts'
import type { CreateOp } from './op-definition.ts'
import { createOrigins, type Origins } from './origins.ts'
import type { PlanOptions } from './plan-options.ts'
import { type StageDraft, withoutConfig } from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'
import { createStageScopes, type SharedScope } from './stage-scopes.ts'
import { createStageWaits } from './stage-waits.ts'
import { createStepNames } from './step-names.ts'
import { applyRun, applyTransfer, applyWorkdir } from './steps.ts'
import { createVertices } from './vertices.ts'

export interface PlannerDeps extends SharedScope {
  readonly images: BaseImages
  readonly resolveLayout: ResolveLayout
  readonly createOp: CreateOp
}

/** Plans stages on demand, each once. */
export interface Planner {
  draft(stage: Stage): Promise<StageDraft>
  /** Waits until nothing is being planned any more. */
  settle(): Promise<void>
}

/** @throws BuildError for a FROM line that is wrong, also of a stage that nothing needs (semantics 109) */
export function createPlanner(dockerfile: Dockerfile, options: PlanOptions, deps: PlannerDeps): Planner {
  const { images, resolveLayout } = deps
  const baseOf = createBaseOf(options, deps)
  const bases = new Map(dockerfile.stages.map(stage => [stage.index, baseOf(stage)]))
  const drafts = new Map<number, Promise<StageDraft>>()
  const noteWait = createStageWaits()
  const vertices = createVertices(deps.createOp)
  const nameStep = createStepNames(dockerfile, options)
  const origins = createOrigins(dockerfile, options, { images, resolveLayout, vertices, nameStep, draftOf })
  const createScope = createStageScopes(dockerfile, options, { ...deps, vertices, nameStep, origins })

  /** @param by the stage that needs it */
  function draftOf(stage: Stage, by?: Stage): Promise<StageDraft> {
    if (by !== undefined && options.namedContexts.size > 0) noteWait(by, stage)
    const known = drafts.get(stage.index)
    if (known !== undefined) return known
    const draft = planStage(stage, bases.get(stage.index) ?? baseOf(stage))
    drafts.set(stage.index, draft)
    return draft
  }

  async function planStage(stage: Stage, base: Base): Promise<StageDraft> {
    // A stage may stand on thousands of others: each begins on a stack of its own.
    await Promise.resolve()
    const replacement = origins.replacement(stage, base)
    if (replacement !== undefined) return replacement
    // All at once: each may ask a registry.
    const sources = sourcesOf(stage, origins).map(({ from, span }) => origins.source(stage, base, from, span))
    const [start] = await Promise.all([origins.start(stage, base), ...sources])
    for (const warning of lintStage(stage)) deps.warn(warning)
    const triggers = (start.image.config.config.OnBuild ?? []).map(text =>
      parseOnbuildTrigger(text, stage.span),
    )
    const instructions = [...triggers, ...stage.instructions]
    const scope = createScope(stage, base, start, instructions)
    let draft = withoutConfig(start, 'OnBuild')
    // What a trigger names was written for another context.
    for (const trigger of triggers) draft = await apply(draft, trigger, { ...scope, ignored: undefined })
    for (const instruction of stage.instructions) draft = await apply(draft, instruction, scope)
    return draft
  }

  return {
    draft: draftOf,
    async settle() {
      await Promise.allSettled([images.settle(), ...drafts.values()])
    },
  }
}

function createBaseOf(
  { platform, hostPlatform }: PlanOptions,
  { expand, globals }: PlannerDeps,
): (stage: Stage) => Base {
  const platforms = { imagePlatform: platform ?? hostPlatform, hostPlatform }
  return stage => expandBase(stage, expand, globals.values, platforms)
}

/** What the instructions of a stage take from elsewhere, but for directories of this machine. */
function sourcesOf(
  { instructions }: Stage,
  { directory }: Origins,
): readonly { readonly from: string; readonly span: SourceSpan }[] {
  return instructions.flatMap(instruction => {
    const from = instruction.kind === 'copy' ? instruction.from : undefined
    return from === undefined || directory(from) !== undefined ? [] : [{ from, span: instruction.span }]
  })
}

async function apply(draft: StageDraft, instruction: Instruction, scope: StageScope): Promise<StageDraft> {
  try {
    switch (instruction.kind) {
      case 'run':
        return await applyRun(draft, instruction, scope)
      case 'copy':
      case 'add':
        return await applyTransfer(draft, instruction, scope)
      case 'workdir':
        return applyWorkdir(draft, instruction, scope)
      default:
        return applyMetadata(draft, instruction, scope)
    }
  } catch (error) {
    throw withSpan(error, instruction.span)
  }
}
