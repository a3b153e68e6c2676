/** What a word of FROM or `--from` names: a stage, a context of the command line, or an image. */
import type { Platform } from '../../oci/platform.ts'
import type { Dockerfile, Stage } from '../dockerfile/instructions.ts'
import type { SourceSpan } from '../dockerfile/source.ts'
import type { BaseImage } from '../images/base-image.ts'
import type { ResolveLayout } from '../images/resolve-layout.ts'
import type { Vertex } from '../solve/vertex.ts'
import { type BaseImages, placed } from './base-images.ts'
import type { Base } from './expand-base.ts'
import { createNamedContexts, type FoundContext, sourceDescription } from './named-contexts.ts'
import type { PlanOptions } from './plan-options.ts'
import { childDraft, imageDraft, type StageDraft, scratchDraft, withLayer } from './stage-draft.ts'
import { findBaseStage, findSourceStage, findTarget } from './stages.ts'
import { countSteps, countTriggers, type StepPlace } from './step-names.ts'
import type { Vertices } from './vertices.ts'

export interface OriginsDeps {
  readonly images: BaseImages
  readonly resolveLayout: ResolveLayout
  readonly vertices: Vertices
  readonly nameStep: (place: StepPlace, title: string) => string
  /** What a stage ends with. @param by the stage that needs it */
  readonly draftOf: (stage: Stage, by: Stage) => Promise<StageDraft>
}

export interface Origins {
  /** What a context of the command line puts in the place of a whole stage, where one has its name. */
  replacement(stage: Stage, base: Base): Promise<StageDraft> | undefined
  /** What a stage begins with. */
  start(stage: Stage, base: Base): Promise<StageDraft>
  /** The root filesystem that `--from` names in a stage. */
  source(stage: Stage, base: Base, word: string, span: SourceSpan): Promise<Vertex>
  /** The directory that a word of `--from` means, whatever stage or image has that name too. */
  directory(word: string): string | undefined
  /** Steps of a stage that come before its instructions: `shown` of them by name, and all are `counted`. */
  stepsBefore(stage: Stage, base: Base): { readonly shown: number; readonly counted: number }
}

export function createOrigins(dockerfile: Dockerfile, options: PlanOptions, deps: OriginsDeps): Origins {
  const { images, vertices } = deps
  const findContext = createNamedContexts(options.namedContexts)

  /** What a named context holds, as if a stage had made it. */
  async function contextDraft(
    { name, context }: FoundContext,
    stage: Stage,
    platform: Platform,
    span: SourceSpan,
  ): Promise<StageDraft> {
    const title = (what: string): string => `[context ${name}] ${what}`
    switch (context.kind) {
      case 'stage':
        return childDraft(await deps.draftOf(findTarget(dockerfile, context.stage), stage))
      case 'directory':
      case 'remote': {
        const empty = scratchDraft(vertices.scratch(span), platform)
        const definition = wholeContext(name, options.sourceDateEpoch ?? empty.createdAt)
        const files = vertices.create(definition, [empty.root], title('load files'), span)
        return withLayer(empty, sourceDescription(name, context), files)
      }
      case 'image':
      case 'layout': {
        const image =
          context.kind === 'image'
            ? await images.find(context.name, platform, span)
            : await findLayout(context.directory, context.digest ?? context.tag, platform, span)
        return imageDraft(vertices.image(image, title(`FROM ${image.name}`), span), image)
      }
    }
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

  async function firstStep(stage: Stage, { word, platform }: Base): Promise<StageDraft> {
    const { span, instructions } = stage
    const image = await images.find(word, platform, span)
    const triggers = image.config.config.OnBuild ?? []
    const total = 1 + countSteps(instructions) + countTriggers(triggers, span)
    const name = deps.nameStep({ stage, platform, step: 1, total }, `FROM ${image.name}`)
    return imageDraft(vertices.image(image, name, span), image)
  }

  return {
    replacement(stage, { platform }) {
      const context = stage.name === undefined ? undefined : findContext(stage.name)
      return context && contextDraft(context, stage, platform, stage.span)
    },
    async start(stage, base) {
      const { word, platform } = base
      const parent = findBaseStage(dockerfile, stage, word)
      if (parent !== undefined) return childDraft(await deps.draftOf(parent, stage))
      if (word === 'scratch') return scratchDraft(vertices.scratch(stage.span), platform)
      const context = findContext(word)
      return context === undefined
        ? firstStep(stage, base)
        : contextDraft(context, stage, platform, stage.span)
    },
    async source(stage, { platform }, word, span) {
      const source = findSourceStage(dockerfile, stage, word, span)
      if (source !== undefined) return (await deps.draftOf(source, stage)).root
      if (word === 'scratch') return vertices.scratch(span)
      const context = findContext(word)
      if (context !== undefined) return (await contextDraft(context, stage, platform, span)).root
      const image = await images.find(word, platform, span)
      return vertices.image(image, `FROM ${image.name}`, span)
    },
    directory(word) {
      const found = /^(scratch|\d+)$/.test(word) ? undefined : findContext(word)
      return found?.context.kind === 'directory' ? found.name : undefined
    },
    stepsBefore(stage, { word }) {
      if (word === 'scratch' || findBaseStage(dockerfile, stage, word) !== undefined)
        return { shown: 0, counted: 0 }
      // As in BuildKit: what a named context holds is counted, and is no step.
      return { shown: findContext(word) === undefined ? 1 : 0, counted: 1 }
    },
  }
}

/** All files of a named context. */
function wholeContext(context: string, createdAt: number) {
  return {
    kind: 'copy',
    from: 'context',
    context,
    sources: [{ kind: 'path', path: '/' }],
    exclude: [],
    parents: false,
    link: false,
    unpack: 'none',
    destination: '/',
    workdir: '/',
    createdAt,
  } as const
}
