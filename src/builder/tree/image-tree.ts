import type { Layers } from '../../store/layers.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { FileTree } from './file-tree.ts'

/** A tree that holds resources (a file with prepared contents) until it is disposed. */
export type OpenTree = FileTree & AsyncDisposable

export interface ImageTreeDeps {
  readonly layers: Layers
  /** Where `prepare` keeps the contents it has read; nothing stays there. */
  readonly temporaryDirectory: string
}

/**
 * The root filesystem that these layers make, lowest first, over their tables of contents, which are read at the
 * first question. All layers must be stored.
 */
export function createImageTree(_layers: readonly LayerRecord[], _deps: ImageTreeDeps): OpenTree {
  throw new Error('not yet')
}
