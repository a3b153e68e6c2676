import type { Reference } from '../../oci/reference.ts'
import type { Store } from '../../store/store.ts'
import type { ImageLayers } from '../images/image-layers.ts'
import type { OpContext, Result } from '../solve/vertex.ts'
import type { OpenTree } from '../tree/image-tree.ts'
import type { BuiltImage } from './assemble.ts'
import type { Output } from './output.ts'
import { exportToStore } from './store-output.ts'

export interface OutputDeps {
  readonly store: Store
  readonly layers: ImageLayers
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
}

export interface BuildProduct {
  readonly image: BuiltImage
  readonly result: Result
  /** Names for the image, in the store and in archives. */
  readonly tags: readonly Reference[]
}

/** Writes one output; all that it needs is in the store afterwards, unless it is `cacheonly`. */
export async function writeOutput(
  output: Output,
  { image, result, tags }: BuildProduct,
  deps: OutputDeps,
  context: OpContext,
): Promise<void> {
  const { signal } = context
  if (output.type === 'cacheonly') return
  await deps.layers.require(result.layers, context)
  switch (output.type) {
    case 'store':
      return exportToStore(image, tags, deps.store, signal)
    case 'oci':
    case 'docker': {
      const { exportToArchive } = await import('./archive-output.ts')
      return exportToArchive(image, tags, output, deps.store, signal)
    }
    case 'local':
    case 'tar': {
      const { exportToDirectory, exportToTar } = await import('./root-output.ts')
      await using tree = await deps.openTree(result, signal)
      return output.type === 'tar'
        ? await exportToTar(tree, output.dest, signal)
        : await exportToDirectory(tree, output.dest, signal)
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
