/**
 * From instructions to a graph of vertices and the draft of an image config. Stages are planned on demand from the
 * target: one that nothing needs is never looked at again, and its base is not resolved (semantics 109). Nothing is
 * executed here; the only thing waited for is what base images say.
 */
import { digestOf } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { formatPlatform, type Platform, parsePlatform } from '../../oci/platform.ts'
import { parseReference } from '../../oci/reference.ts'
import type { Dockerfile, Instruction, Stage, Warning } from '../dockerfile/instructions.ts'
import { parseOnbuildTrigger } from '../dockerfile/onbuild.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import { suggest } from '../dockerfile/suggest.ts'
import { BuildError, withSpan } from '../errors.ts'
import type { NetworkMode } from '../exec/executor.ts'
import type { BaseImage, ResolveImage } from '../images/base-image.ts'
import type { Vertex } from '../solve/vertex.ts'
import { globalArguments, platformArguments, unconsumed } from './arguments.ts'
import { applyMetadata } from './metadata.ts'
import type { CreateOp, OpDefinition } from './op-definition.ts'
import {
  childDraft,
  type ImageDraft,
  imageDraft,
  type StageDraft,
  scratchDraft,
  withConfig,
  withoutConfig,
} from './stage-draft.ts'
import type { StageScope } from './stage-scope.ts'
import { findBaseStage, findSourceStage, findTarget, stageNames } from './stages.ts'
import { applyRun, applyTransfer, applyWorkdir } from './steps.ts'
import { createExpand } from './words.ts'

export interface PlanOptions {
  readonly buildArgs: ReadonlyMap<string, string>
  readonly target?: string
  readonly labels: ReadonlyMap<string, string>
  readonly noCache: boolean
  readonly network: NetworkMode
  /** `name:address` */
  readonly extraHosts: readonly string[]
  /** Of the image, where the user asked for one. */
  readonly platform?: Platform
  readonly hostPlatform: Platform
  /** Seconds since the epoch. */
  readonly sourceDateEpoch?: number
}

export interface PlanDeps {
  readonly resolveImage: ResolveImage
  readonly createOp: CreateOp
  readonly signal: AbortSignal
}

export interface Plan {
  /** The root filesystem of the image. */
  readonly target: Vertex
  readonly image: ImageDraft
  readonly warnings: readonly PlanWarning[]
}

export type PlanWarning = Pick<Warning, 'message'> & Partial<Warning>

/**
 * @throws BuildError with the place of the instruction; the signal's reason. When it throws, nothing it started
 *   is still running
 */
export async function planBuild(dockerfile: Dockerfile, options: PlanOptions, deps: PlanDeps): Promise<Plan> {
  const failed = new AbortController()
  const signal = AbortSignal.any([deps.signal, failed.signal])
  const planner = createPlanner(dockerfile, options, { ...deps, signal })
  try {
    return await planner.plan(findTarget(dockerfile, options.target))
  } catch (error) {
    failed.abort(error)
    await planner.settle()
    throw error
  }
}

function createPlanner(dockerfile: Dockerfile, options: PlanOptions, deps: PlanDeps) {
  const { buildArgs, hostPlatform } = options
  const warnings: PlanWarning[] = [...dockerfile.warnings]
  const expand = createExpand(dockerfile.directives, warning => warnings.push(warning))
  const imagePlatform = options.platform ?? hostPlatform
  const globals = globalArguments(
    dockerfile,
    buildArgs,
    platformArguments(hostPlatform, imagePlatform, options.target),
    expand,
  )
  const consumed = new Set(globals.declared)
  const bases = dockerfile.stages.map(stage => expandBase(stage))
  const drafts = new Map<number, Promise<StageDraft>>()
  const images = new Map<string, Promise<BaseImage>>()

  /** Also of stages that nothing needs: what is wrong in a FROM line is told. */
  function expandBase(stage: Stage): { readonly word: string; readonly platform: Platform } {
    const { span } = stage
    const word = expand.word(stage.base, globals.values, span)
    if (word === '')
      throw new BuildError('dockerfile-invalid', `Cannot build FROM ${stage.base}: the name is empty`, {
        span,
        hint: 'an ARG in a FROM line needs a default, or a --build-arg',
      })
    if (stage.platform === undefined) return { word, platform: imagePlatform }
    const text = expand.word(stage.platform, globals.values, span)
    try {
      return { word, platform: parsePlatform(text, hostPlatform) }
    } catch (error) {
      throw invalidValue(error, span)
    }
  }

  function draftOf(stage: Stage): Promise<StageDraft> {
    const known = drafts.get(stage.index)
    if (known !== undefined) return known
    const draft = planStage(stage)
    drafts.set(stage.index, draft)
    return draft
  }

  async function planStage(stage: Stage): Promise<StageDraft> {
    // A stage may stand on thousands of others: each begins on a stack of its own.
    await Promise.resolve()
    const { word, platform } = baseOf(stage)
    const parent = findBaseStage(dockerfile, stage, word)
    const sources = stage.instructions.flatMap(instruction =>
      instruction.kind === 'copy' && instruction.from !== undefined
        ? [{ word: instruction.from, span: instruction.span }]
        : [],
    )
    // All at once: each may ask a registry.
    const [base] = await Promise.all([
      parent === undefined ? startDraft(stage, word, platform) : draftOf(parent).then(childDraft),
      ...sources.map(source => findSource(stage, source.word, source.span)),
    ])
    const triggers = (base.image.config.config.OnBuild ?? []).map(text =>
      parseOnbuildTrigger(text, stage.span),
    )
    const instructions = [...triggers, ...stage.instructions]
    const isImage = parent === undefined && word !== 'scratch'
    const scope = createScope(stage, base, instructions, isImage)
    let draft = withoutConfig(base, 'OnBuild')
    for (const instruction of instructions) draft = await apply(draft, instruction, scope)
    return draft
  }

  async function startDraft(stage: Stage, word: string, platform: Platform): Promise<StageDraft> {
    if (word === 'scratch') return scratchDraft(scratchVertex(stage.span), platform)
    const base = await resolve(word, platform, stage.span)
    const label = stageLabel(stage)
    return imageDraft(
      imageVertex(base, `[${label}1/${countSteps(stage.instructions) + 1}] FROM ${base.name}`, stage.span),
      base,
    )
  }

  async function findSource(stage: Stage, word: string, span: SourceSpan): Promise<Vertex> {
    const source = findSourceStage(dockerfile, stage, word, span)
    if (source !== undefined) return (await draftOf(source)).root
    if (word === 'scratch') return scratchVertex(span)
    const base = await resolve(word, baseOf(stage).platform, span)
    return imageVertex(base, `FROM ${base.name}`, span)
  }

  async function resolve(word: string, platform: Platform, span: SourceSpan): Promise<BaseImage> {
    const key = `${word} ${formatPlatform(platform)}`
    let image = images.get(key)
    if (image === undefined) {
      image = resolveWord(word, platform, span)
      images.set(key, image)
    }
    return image
  }

  async function resolveWord(word: string, platform: Platform, span: SourceSpan): Promise<BaseImage> {
    try {
      const image = await deps.resolveImage(parseReference(word), platform, deps.signal)
      const { os, architecture } = image.config
      if (os !== platform.os || architecture !== platform.architecture)
        warnings.push({
          rule: 'InvalidBaseImagePlatform',
          message: `Base image ${word} is for ${formatPlatform(image.config)}, not for ${formatPlatform(platform)}`,
          span,
        })
      return image
    } catch (error) {
      throw withSuggestion(invalidValue(error, span), word, stageNames(dockerfile))
    }
  }

  function createScope(
    stage: Stage,
    base: StageDraft,
    instructions: readonly Instruction[],
    isImage: boolean,
  ): StageScope {
    const total = countSteps(instructions) + (isImage ? 1 : 0)
    let step = isImage ? 1 : 0
    return {
      expand,
      buildArgs,
      globals,
      consumed,
      network: options.network,
      hostname: buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME') ?? 'buildkitsandbox',
      extraHosts: options.extraHosts,
      platform: formatPlatform(base.image.config),
      createdAt: options.sourceDateEpoch ?? base.createdAt,
      findSource: (word, span) => findSource(stage, word, span),
      createVertex(definition, inputs, title, span) {
        step++
        const name = `[${stageLabel(stage)}${step}/${total}] ${oneLine(title)}`
        return createVertex(definition, inputs, name, span)
      },
    }
  }

  function imageVertex(base: BaseImage, name: string, span: SourceSpan): Vertex {
    const { digest, layers } = base
    return createVertex({ kind: 'image', digest, layers }, [], name, span)
  }

  function scratchVertex(span: SourceSpan): Vertex {
    return createVertex({ kind: 'image', layers: [] }, [], 'FROM scratch', span)
  }

  function createVertex(
    definition: OpDefinition,
    inputs: readonly Vertex[],
    name: string,
    span: SourceSpan,
  ): Vertex {
    try {
      const op = deps.createOp(definition, span)
      const digest = digestOf(JSON.stringify([definition, inputs.map(input => input.digest)]))
      return { digest, name, op, inputs, ignoreCache: options.noCache, span }
    } catch (error) {
      throw withSpan(error, span)
    }
  }

  /** `build `, `stage-1 `, or nothing where there is one stage only. */
  function stageLabel(stage: Stage): string {
    return dockerfile.stages.length === 1 ? '' : `${stage.name ?? `stage-${stage.index}`} `
  }

  function baseOf(stage: Stage): { readonly word: string; readonly platform: Platform } {
    return bases[stage.index] ?? expandBase(stage)
  }

  return {
    async plan(stage: Stage): Promise<Plan> {
      const draft = finish(await draftOf(stage), options)
      const unused = unconsumed(buildArgs, consumed)
      if (unused.length > 0)
        warnings.push({ message: `One or more build-args [${unused.join(' ')}] were not consumed` })
      return { target: draft.root, image: draft.image, warnings }
    },
    async settle(): Promise<void> {
      await Promise.allSettled([...drafts.values(), ...images.values()])
    },
  }
}

async function apply(draft: StageDraft, instruction: Instruction, scope: StageScope): Promise<StageDraft> {
  try {
    switch (instruction.kind) {
      case 'run':
        return applyRun(draft, instruction, scope)
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

/** What the command line adds to the last stage. */
function finish(draft: StageDraft, options: PlanOptions): StageDraft {
  const { labels, platform } = options
  const { Labels } = draft.image.config.config
  const labeled =
    labels.size === 0 ? draft : withConfig(draft, { Labels: { ...Labels, ...Object.fromEntries(labels) } })
  if (platform === undefined) return labeled
  const { image } = labeled
  const { variant, ...config } = image.config
  return { ...labeled, image: { ...image, config: { ...config, ...platform } } }
}

function countSteps(instructions: readonly Instruction[]): number {
  return instructions.filter(({ kind }) => ['run', 'copy', 'add', 'workdir'].includes(kind)).length
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ')
}

/** A name or platform that breaks its grammar is a mistake in the Dockerfile, at this line. */
function invalidValue(error: unknown, span: SourceSpan): unknown {
  if (!(error instanceof OciError)) return withSpan(error, span)
  if (error.code !== 'reference-invalid' && error.code !== 'platform-invalid') return error
  return new BuildError('dockerfile-invalid', error.message, { span, cause: error })
}

/** A missing image is often a stage's name with a typo. */
function withSuggestion(error: unknown, word: string, names: readonly string[]): unknown {
  if (!(error instanceof BuildError) || error.code !== 'image-missing') return error
  const nearest = suggest(word, names)
  if (nearest === undefined) return error
  const { message, cause, span } = error
  return new BuildError('image-missing', message, {
    cause,
    hint: `did you mean the stage ${nearest}?`,
    ...(span !== undefined && { span }),
  })
}
