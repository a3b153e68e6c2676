import { formatPlatform } from '../../oci/platform.ts'
import type { Dockerfile, Instruction, Stage } from '../dockerfile/instructions.ts'
import { parseOnbuildTrigger } from '../dockerfile/onbuild.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { withSpan } from '../errors.ts'
import type { Vertex } from '../solve/vertex.ts'
import type { GlobalArguments } from './arguments.ts'
import type { BaseImages } from './base-images.ts'
import { type Base, expandBase } from './expand-base.ts'
import { applyMetadata } from './metadata.ts'
import type { CreateOp } from './op-definition.ts'
import type { PlanOptions } from './plan-options.ts'
import { contextCopy } from './run-mounts.ts'
import { childDraft, imageDraft, type StageDraft, scratchDraft, withoutConfig } from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'
import { findBaseStage, findSourceStage } from './stages.ts'
import { applyRun, applyTransfer, applyWorkdir } from './steps.ts'
import { createVertices } from './vertices.ts'
import type { Expand } from './words.ts'

export interface PlannerDeps {
  readonly expand: Expand
  readonly globals: GlobalArguments
  /** Names of ARGs, added to as they are met. */
  readonly consumed: Set<string>
  readonly images: BaseImages
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
  const { buildArgs, hostPlatform } = options
  const { expand, globals, consumed, images } = deps
  const platforms = { imagePlatform: options.platform ?? hostPlatform, hostPlatform }
  const vertices = createVertices({ createOp: deps.createOp, ignoreCache: options.noCache })
  const baseOf = (stage: Stage): Base => expandBase(stage, expand, globals.values, platforms)
  const bases = new Map(dockerfile.stages.map(stage => [stage.index, baseOf(stage)]))
  const drafts = new Map<number, Promise<StageDraft>>()

  function draftOf(stage: Stage): Promise<StageDraft> {
    const known = drafts.get(stage.index)
    if (known !== undefined) return known
    const draft = planStage(stage, bases.get(stage.index) ?? baseOf(stage))
    drafts.set(stage.index, draft)
    return draft
  }

  async function planStage(stage: Stage, base: Base): Promise<StageDraft> {
    // A stage may stand on thousands of others: each begins on a stack of its own.
    await Promise.resolve()
    const parent = findBaseStage(dockerfile, stage, base.word)
    const sources = stage.instructions.flatMap(instruction =>
      instruction.kind === 'copy' && instruction.from !== undefined
        ? [findSource(stage, base, instruction.from, instruction.span)]
        : [],
    )
    // All at once: each may ask a registry.
    const [start] = await Promise.all([
      parent === undefined ? startDraft(stage, base) : draftOf(parent).then(childDraft),
      ...sources,
    ])
    const triggers = start.image.config.config.OnBuild ?? []
    const instructions = [
      ...triggers.map(text => parseOnbuildTrigger(text, stage.span)),
      ...stage.instructions,
    ]
    const scope = createScope(stage, base, start, instructions)
    let draft = withoutConfig(start, 'OnBuild')
    for (const instruction of instructions) draft = await apply(draft, instruction, scope)
    return draft
  }

  async function startDraft(stage: Stage, { word, platform }: Base): Promise<StageDraft> {
    const { span, instructions } = stage
    if (word === 'scratch') return scratchDraft(vertices.scratch(span), platform)
    const image = await images.find(word, platform, span)
    const triggers = image.config.config.OnBuild ?? []
    const total = 1 + countSteps(instructions) + countTriggers(triggers, span)
    return imageDraft(
      vertices.image(image, `[${stageLabel(stage)}1/${total}] FROM ${image.name}`, span),
      image,
    )
  }

  async function findSource(stage: Stage, base: Base, word: string, span: SourceSpan): Promise<Vertex> {
    const source = findSourceStage(dockerfile, stage, word, span)
    if (source !== undefined) return (await draftOf(source)).root
    if (word === 'scratch') return vertices.scratch(span)
    const image = await images.find(word, base.platform, span)
    return vertices.image(image, `FROM ${image.name}`, span)
  }

  function createScope(
    stage: Stage,
    base: Base,
    start: StageDraft,
    instructions: readonly Instruction[],
  ): StageScope {
    const isImage = base.word !== 'scratch' && findBaseStage(dockerfile, stage, base.word) === undefined
    let step = isImage ? 1 : 0
    const total = step + countSteps(instructions)
    return {
      expand,
      buildArgs,
      globals,
      consumed,
      network: options.network,
      hostname: buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME') ?? 'buildkitsandbox',
      extraHosts: options.extraHosts,
      platform: formatPlatform(start.image.config),
      createdAt: options.sourceDateEpoch ?? start.createdAt,
      linkedAt: options.sourceDateEpoch ?? 0,
      findSource: (word, span) => findSource(stage, base, word, span),
      contextSource(path, span) {
        const definition = contextCopy(path, options.sourceDateEpoch ?? 0)
        return vertices.create(
          definition,
          [vertices.scratch(span)],
          `[internal] load /${path} of the build context`,
          span,
        )
      },
      createVertex(definition, inputs, title, span) {
        step++
        const name = `[${stageLabel(stage)}${step}/${total}] ${title.replaceAll(/\s*\n\s*/g, ' ')}`
        return vertices.create(definition, inputs, name, span)
      },
    }
  }

  /** `build `, `stage-1 `, or nothing where there is one stage only. */
  function stageLabel(stage: Stage): string {
    return dockerfile.stages.length === 1 ? '' : `${stage.name ?? `stage-${stage.index}`} `
  }

  return {
    draft: draftOf,
    async settle() {
      await Promise.allSettled([images.settle(), ...drafts.values()])
    },
  }
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

function countSteps(instructions: readonly Instruction[]): number {
  return instructions.filter(({ kind }) => ['run', 'copy', 'add', 'workdir'].includes(kind)).length
}

function countTriggers(triggers: readonly string[], span: SourceSpan): number {
  return countSteps(triggers.map(text => parseOnbuildTrigger(text, span)))
}
