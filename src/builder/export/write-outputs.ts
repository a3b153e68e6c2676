import type { Reference } from '../../oci/reference.ts'
import type { Store } from '../../store/store.ts'
import type { ImageLayers } from '../images/image-layers.ts'
import type { OpContext, Result } from '../solve/vertex.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import { buildImage, type SolvedImage } from './export-image.ts'
import { createImageGraph, type ImageGraph } from './image-graph.ts'
import { DEFAULT_IMAGE_SETTINGS } from './image-settings.ts'
import type { LayerVariants } from './layer-variants.ts'
import type { Output } from './output.ts'
import { exportToStore } from './store-output.ts'

export interface OutputDeps {
  readonly store: Store
  readonly layers: ImageLayers
  readonly variants: LayerVariants
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
}

export interface BuildProduct {
  readonly image: SolvedImage
  readonly result: Result
  /** Names for the image, in the store and in archives. */
  readonly tags: readonly Reference[]
}

/**
 * Writes one output; all that it needs is in the store afterwards, unless it is `cacheonly`.
 * @returns the image, where the output holds one
 */
export async function writeOutput(
  output: Output,
  { image, result, tags }: BuildProduct,
  deps: OutputDeps,
  context: OpContext,
): Promise<ImageGraph | undefined> {
  const { signal } = context
  if (output.type === 'cacheonly') return undefined
  await deps.layers.require(result.layers, context)
  switch (output.type) {
    case 'store':
    case 'oci':
    case 'docker': {
      const settings = output.settings ?? DEFAULT_IMAGE_SETTINGS
      const built = await buildImage(image, settings, deps.variants, context)
      const graph = createImageGraph(
        [{ image: built, platform: image.draft.config, attestations: [] }],
        settings,
      )
      const names = [...tags, ...settings.names]
      if (output.type === 'store') await exportToStore(graph, names, deps.store, signal)
      else {
        const { exportToArchive } = await import('./archive-output.ts')
        await exportToArchive(graph, names, output, deps.store, signal)
      }
      return graph
    }
    case 'local':
    case 'tar': {
      const { exportToDirectory, exportToTar } = await import('./root-output.ts')
      await using tree = await deps.openTree(result, signal)
      if (output.type === 'tar') await exportToTar(tree, output.dest, signal)
      else await exportToDirectory(tree, output.dest, signal)
      return undefined
    }
  }
}

/** For progress: `exporting to oci archive out.tar`. */
export function outputTitle(output: Output): string {
  switch (output.type) {
    case 'store':
      return 'exporting to the store'
    case 'cacheonly':
      return 'keeping the build cache'
    default:
      return `exporting to ${output.type} ${typeof output.dest === 'string' ? output.dest : '(stream)'}`
  }
}
