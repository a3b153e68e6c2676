import type { Platform } from '../../oci/platform.ts'
import type { Reference } from '../../oci/reference.ts'
import type { Store } from '../../store/store.ts'
import type { Attester } from '../attest/attest.ts'
import { BuildError } from '../errors.ts'
import type { ImageLayers } from '../images/image-layers.ts'
import type { OpContext, Result, Vertex } from '../solve/vertex.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import { buildImage, type SolvedImage } from './export-image.ts'
import { type AttestedImage, createImageGraph, type ImageGraph } from './image-graph.ts'
import { DEFAULT_IMAGE_SETTINGS } from './image-settings.ts'
import type { LayerVariants } from './layer-variants.ts'
import { isImageOutput, type Output } from './output.ts'
import { type PushRegistries, pushImage } from './push.ts'
import { exportToStore } from './store-output.ts'

export interface OutputDeps {
  readonly store: Store
  readonly layers: ImageLayers
  readonly variants: LayerVariants
  /** Where something is to be said beside the images. */
  readonly attester?: Attester
  readonly remote: PushRegistries
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
}

export interface PlatformImage extends SolvedImage {
  readonly platform: Platform
  readonly target: Vertex
  readonly result: Result
}

export interface BuildProduct {
  /** At least one; in the order in which an index lists them. */
  readonly images: readonly PlatformImage[]
  /** Always for several images. */
  readonly isIndex: boolean
  /** Names for the image, in the store and in archives. */
  readonly tags: readonly Reference[]
}

/**
 * @param attests whether attestations go beside the images, which makes an index of each
 * @throws BuildError `build-option-invalid` for what cannot hold an index, before anything is built
 */
export function checkOutputs(outputs: readonly Output[], isIndex: boolean, attests = false): void {
  if (attests && outputs.some(({ type }) => type === 'docker'))
    throw new BuildError(
      'build-option-invalid',
      'Cannot write a docker archive with attestations: it holds no index',
      { hint: 'use type=oci, or no --provenance, --sbom and --attest' },
    )
  if (attests && outputs.some(output => isImageOutput(output) && output.settings?.mediaTypes === 'docker'))
    throw new BuildError(
      'build-option-invalid',
      'Cannot write attestations with oci-mediatypes=false: they are OCI manifests',
    )
  if (!isIndex && !attests && outputs.some(annotatesIndex))
    throw new BuildError(
      'build-option-invalid',
      'Cannot annotate an index: the image of one platform has none',
      { hint: 'annotate the manifest, or let the build arg BUILDKIT_MULTI_PLATFORM=1 make an index' },
    )
  if (isIndex && outputs.some(({ type }) => type === 'docker'))
    throw new BuildError(
      'build-option-invalid',
      'Cannot write a docker archive of several platforms: it holds no index',
      { hint: 'use type=oci, or one --platform' },
    )
}

function annotatesIndex(output: Output): boolean {
  if (!isImageOutput(output)) return false
  return output.settings?.annotations.some(({ level }) => level.startsWith('index')) ?? false
}

/**
 * Writes one output; all that it needs is in the store afterwards, unless it is `cacheonly`.
 * @returns the image, where the output holds one
 */
export async function writeOutput(
  output: Output,
  product: BuildProduct,
  deps: OutputDeps,
  context: OpContext,
): Promise<ImageGraph | undefined> {
  const { signal } = context
  if (output.type === 'cacheonly') return undefined
  const { images, isIndex, tags } = product
  for (const { result } of images) await deps.layers.require(result.layers, context)
  switch (output.type) {
    case 'store':
    case 'oci':
    case 'docker': {
      const settings = output.settings ?? DEFAULT_IMAGE_SETTINGS
      const names = [...tags, ...settings.names]
      const built: AttestedImage[] = []
      for (const solved of images) {
        const image = await buildImage(solved, settings, deps.variants, context)
        const subject = { image: image.manifest.descriptor, names }
        const attestations = (await deps.attester?.attest(solved, subject, context)) ?? []
        built.push({ image, platform: solved.platform, attestations })
      }
      const graph = createImageGraph(built, settings, isIndex)
      if (output.type === 'store') {
        await exportToStore(graph, names, deps.store, signal)
        if (output.push !== undefined) await pushImage(graph, names, output.push, deps, context)
      } else {
        const { exportToArchive } = await import('./archive-output.ts')
        await exportToArchive(graph, names, output, deps.store, signal)
      }
      return graph
    }
    case 'local':
    case 'tar': {
      const { exportRoots } = await import('./platform-roots.ts')
      await exportRoots(product, output, deps, context)
      return undefined
    }
  }
}

/** For progress: `exporting to oci archive out.tar`. */
export function outputTitle(output: Output): string {
  switch (output.type) {
    case 'store':
      return output.push === undefined ? 'exporting to the store' : 'exporting to the store, and pushing'
    case 'cacheonly':
      return 'keeping the build cache'
    default:
      return `exporting to ${output.type} ${typeof output.dest === 'string' ? output.dest : '(stream)'}`
  }
}
