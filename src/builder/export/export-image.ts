/** From what a build made to the image that one output writes: its layers as wanted, and its documents. */
import type { Digest } from '../../oci/digest.ts'
import type { DocumentedStep } from '../cache/cache-document.ts'
import type { ImageDraft } from '../plan/stage-draft.ts'
import type { Solution } from '../solve/step.ts'
import type { OpContext, ResultLayer } from '../solve/vertex.ts'
import { type AssembledLayer, assembleImage, type BuiltImage, inheritedLayers } from './assemble.ts'
import { annotationsOf } from './image-graph.ts'
import { type ImageSettings, wantedCompression } from './image-settings.ts'
import type { LayerVariants } from './layer-variants.ts'

/** An image before anybody said how it is to be written. */
export interface SolvedImage {
  readonly draft: ImageDraft
  readonly layers: readonly ResultLayer[]
  readonly solutions: ReadonlyMap<Digest, Solution>
  /** Seconds since the epoch. */
  readonly sourceDateEpoch?: number
  /** Of the build, where the image shall tell other machines of them. */
  readonly inlineSteps?: readonly DocumentedStep[]
}

/** What BuildKit writes at a layer whose files' times were held back. */
const REWRITTEN = 'buildkit/rewritten-timestamp'

/** Converts the layers that are not as the settings want them; those are stored then. */
export async function buildImage(
  { draft, layers, solutions, sourceDateEpoch, inlineSteps }: SolvedImage,
  settings: ImageSettings,
  variants: LayerVariants,
  context: OpContext,
): Promise<BuiltImage> {
  const inherited = inheritedLayers(draft, layers)
  const { forceCompression, mediaTypes } = settings
  const wanted = wantedCompression(settings)
  const latest = settings.rewriteTimestamp ? sourceDateEpoch : undefined
  const assembled: AssembledLayer[] = []
  const rewritten = new Map<Digest, ResultLayer>()
  for (const [index, layer] of layers.entries()) {
    if (index < inherited) {
      assembled.push(forceCompression ? await variants.get(layer, wanted, context) : layer)
      continue
    }
    const times = latest === undefined ? {} : { latestTime: latest }
    const made = await variants.get(layer, { ...wanted, ...times }, context)
    assembled.push(latest === undefined ? made : { ...made, annotations: { [REWRITTEN]: String(latest) } })
    if (made.diffID !== layer.diffID) rewritten.set(layer.diffID, made)
  }
  const annotations = annotationsOf(settings.annotations, 'manifest', draft.config)
  return assembleImage(draft, assembled, solutions, sourceDateEpoch, {
    mediaTypes,
    ...(inlineSteps !== undefined && { inlineSteps: inlineSteps.map(step => asWritten(step, rewritten)) }),
    ...(annotations !== undefined && { annotations }),
  })
}

/**
 * The step with the layer that the image has. Only times differ, so what stands on it has the same key: as long as it
 * is known what the layer is without them.
 */
function asWritten(step: DocumentedStep, rewritten: ReadonlyMap<Digest, ResultLayer>): DocumentedStep {
  const layer = step.content === undefined ? undefined : rewritten.get(step.layer.diffID)
  return layer === undefined ? step : { ...step, layer }
}
