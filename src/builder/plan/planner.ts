import { formatPlatform, type Platform } from '../../oci/platform.ts'
import type { IgnoreRules } from '../context/ignore.ts'
import type { Dockerfile, Instruction, Stage, Warning } from '../dockerfile/instructions.ts'
import { parseOnbuildTrigger } from '../dockerfile/onbuild.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { BuildError, withSpan } from '../errors.ts'
import type { BaseImage } from '../images/base-image.ts'
import type { ResolveLayout } from '../images/resolve-layout.ts'
import type { Vertex } from '../solve/vertex.ts'
import type { GlobalArguments } from './arguments.ts'
import { type BaseImages, placed } from './base-images.ts'
import { type Base, expandBase } from './expand-base.ts'
import { lintStage } from './lint-stage.ts'
import { applyMetadata } from './metadata.ts'
import { createNamedContexts, type FoundContext, sourceDescription } from './named-contexts.ts'
import type { CreateOp } from './op-definition.ts'
import type { PlanOptions } from './plan-options.ts'
import {
  childDraft,
  imageDraft,
  type StageDraft,
  scratchDraft,
  withLayer,
  withoutConfig,
} from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'
import { findBaseStage, findSourceStage, findStage, findTarget } from './stages.ts'
import { applyRun, applyTransfer, applyWorkdir } from './steps.ts'
import { createVertices } from './vertices.ts'
import { type Expand, expandInStages } from './words.ts'

export interface PlannerDeps {
  readonly expand: Expand
  readonly globals: GlobalArguments
  /** Names of ARGs, added to as they are met. */
  readonly consumed: Set<string>
  readonly images: BaseImages
  readonly resolveLayout: ResolveLayout
  readonly createOp: CreateOp
  /** What the build context leaves out, where there is to be a warning of copying it. */
  readonly ignored?: IgnoreRules
  warn(warning: Warning): void
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
  const vertices = createVertices(deps.createOp)
  const baseOf = (stage: Stage): Base => expandBase(stage, expand, globals.values, platforms)
  const bases = new Map(dockerfile.stages.map(stage => [stage.index, baseOf(stage)]))
  const drafts = new Map<number, Promise<StageDraft>>()
  const uncached = new Set(options.noCacheStages.map(word => findStage(dockerfile, word)?.index))

  const findContext = createNamedContexts(options.namedContexts)
  /** Indexes of the stages that a stage waits for. Only a context that names a stage can make a circle. */
  const waits = new Map<number, Set<number>>()

  /** @param by the stage that needs it */
  function draftOf(stage: Stage, by?: Stage): Promise<StageDraft> {
    if (by !== undefined && options.namedContexts.size > 0) noteWait(by, stage)
    const known = drafts.get(stage.index)
    if (known !== undefined) return known
    const draft = planStage(stage, bases.get(stage.index) ?? baseOf(stage))
    drafts.set(stage.index, draft)
    return draft
  }

  function noteWait(by: Stage, stage: Stage): void {
    const pending = [stage.index]
    const seen = new Set(pending)
    for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
      if (index === by.index)
        throw new BuildError(
          'dockerfile-invalid',
          `Cannot build stage ${stage.name ?? stage.index}: with --build-context it needs itself`,
          { span: by.span },
        )
      for (const next of waits.get(index) ?? []) {
        if (seen.has(next)) continue
        seen.add(next)
        pending.push(next)
      }
    }
    waits.set(by.index, (waits.get(by.index) ?? new Set()).add(stage.index))
  }

  async function planStage(stage: Stage, base: Base): Promise<StageDraft> {
    // A stage may stand on thousands of others: each begins on a stack of its own.
    await Promise.resolve()
    const replaced = stage.name === undefined ? undefined : findContext(stage.name)
    if (replaced !== undefined) return contextDraft(replaced, stage, base, stage.span)
    const parent = findBaseStage(dockerfile, stage, base.word)
    const sources = stage.instructions.flatMap(instruction =>
      instruction.kind === 'copy' &&
      instruction.from !== undefined &&
      findDirectory(instruction.from) === undefined
        ? [findSource(stage, base, instruction.from, instruction.span)]
        : [],
    )
    // All at once: each may ask a registry.
    const [start] = await Promise.all([
      parent === undefined ? startDraft(stage, base) : draftOf(parent, stage).then(childDraft),
      ...sources,
    ])
    const triggers = start.image.config.config.OnBuild ?? []
    const instructions = [
      ...triggers.map(text => parseOnbuildTrigger(text, stage.span)),
      ...stage.instructions,
    ]
    const scope = createScope(stage, base, start, instructions)
    for (const warning of lintStage(stage)) deps.warn(warning)
    let draft = withoutConfig(start, 'OnBuild')
    // What a trigger names was written for another context.
    for (const [index, instruction] of instructions.entries())
      draft = await apply(
        draft,
        instruction,
        index < triggers.length ? { ...scope, ignored: undefined } : scope,
      )
    return draft
  }

  async function startDraft(stage: Stage, { word, platform }: Base): Promise<StageDraft> {
    const { span, instructions } = stage
    if (word === 'scratch') return scratchDraft(vertices.scratch(span), platform)
    const context = findContext(word)
    if (context !== undefined) return contextDraft(context, stage, { word, platform }, span)
    const image = await images.find(word, platform, span)
    const triggers = image.config.config.OnBuild ?? []
    const total = 1 + countSteps(instructions) + countTriggers(triggers, span)
    return imageDraft(
      vertices.image(image, `[${stageLabel(stage, platform)}1/${total}] FROM ${image.name}`, span),
      image,
    )
  }

  /** What a named context holds, as if a stage had made it. */
  async function contextDraft(
    { name, context }: FoundContext,
    stage: Stage,
    { platform }: Base,
    span: SourceSpan,
  ): Promise<StageDraft> {
    const title = (what: string): string => `[context ${name}] ${what}`
    if (context.kind === 'stage')
      return draftOf(findTarget(dockerfile, context.stage), stage).then(childDraft)
    if (context.kind === 'directory' || context.kind === 'remote') {
      const empty = scratchDraft(vertices.scratch(span), platform)
      const definition = {
        kind: 'copy',
        from: 'context',
        context: name,
        sources: [{ kind: 'path', path: '/' }],
        exclude: [],
        parents: false,
        link: false,
        unpack: 'none',
        destination: '/',
        workdir: '/',
        createdAt: options.sourceDateEpoch ?? empty.createdAt,
      } as const
      const files = vertices.create(definition, [empty.root], title('load files'), span)
      return withLayer(empty, sourceDescription(name, context), files)
    }
    const image =
      context.kind === 'image'
        ? await images.find(context.name, platform, span)
        : await findLayout(context.directory, context.digest ?? context.tag, platform, span)
    return imageDraft(vertices.image(image, title(`FROM ${image.name}`), span), image)
  }

  async function findLayout(
    directory: string,
    wanted: string | undefined,
    platform: Platform,
    span: SourceSpan,
  ): Promise<BaseImage> {
    try {
      return await deps.resolveLayout(directory, wanted, platform)
    } catch (error) {
      throw placed(error, span)
    }
  }

  async function findSource(stage: Stage, base: Base, word: string, span: SourceSpan): Promise<Vertex> {
    const source = findSourceStage(dockerfile, stage, word, span)
    if (source !== undefined) return (await draftOf(source, stage)).root
    if (word === 'scratch') return vertices.scratch(span)
    const context = findContext(word)
    if (context !== undefined) return (await contextDraft(context, stage, base, span)).root
    const image = await images.find(word, base.platform, span)
    return vertices.image(image, `FROM ${image.name}`, span)
  }

  /** The directory that a word of `--from` means, whatever stage or image has that name too. */
  function findDirectory(word: string): string | undefined {
    const found = /^(scratch|\d+)$/.test(word) ? undefined : findContext(word)
    return found?.context.kind === 'directory' ? found.name : undefined
  }

  function createScope(
    stage: Stage,
    base: Base,
    start: StageDraft,
    instructions: readonly Instruction[],
  ): StageScope {
    const isElsewhere = base.word !== 'scratch' && findBaseStage(dockerfile, stage, base.word) === undefined
    const total = (isElsewhere ? 1 : 0) + countSteps(instructions)
    // As in BuildKit: what a named context holds is counted, and is no step.
    let step = isElsewhere && findContext(base.word) === undefined ? 1 : 0
    return {
      expand: expandInStages(expand, deps.warn),
      warn: deps.warn,
      ignored: deps.ignored,
      buildArgs,
      globals,
      consumed,
      network: options.network,
      hostname: buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME') ?? 'buildkitsandbox',
      extraHosts: options.extraHosts,
      allow: options.allow,
      platform: formatPlatform(start.image.config),
      createdAt: options.sourceDateEpoch ?? start.createdAt,
      linkedAt: options.sourceDateEpoch ?? 0,
      findSource: (word, span) => findSource(stage, base, word, span),
      findDirectory,
      createVertex(definition, inputs, title, span, shell) {
        step++
        const name = `[${stageLabel(stage, base.platform)}${step}/${total}] ${title.replaceAll(/\s*\n\s*/g, ' ')}`
        const ignoreCache = options.noCache || uncached.has(stage.index)
        return vertices.create(definition, inputs, name, span, ignoreCache, shell)
      },
    }
  }

  /** `build `, `stage-1 `, or nothing where there is one stage only; of several platforms `linux/amd64 build `. */
  function stageLabel(stage: Stage, platform: Platform): string {
    const name = dockerfile.stages.length === 1 ? '' : `${stage.name ?? `stage-${stage.index}`} `
    return options.namesPlatform === true ? `${formatPlatform(platform)} ${name}` : name
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
