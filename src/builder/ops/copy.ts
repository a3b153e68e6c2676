import type { ByteString } from '../../oci/byte-string.ts'
import type { ModeChange } from '../dockerfile/chmod.ts'
import type { LayerOp } from '../solve/vertex.ts'
import type { FileTree } from '../tree/file-tree.ts'
import type { LayerOpDeps } from './deps.ts'
import { placeSelected } from './placement.ts'
import { createTransferOp } from './transfer.ts'

/** Where the paths of COPY and ADD are looked up. */
export type CopyOrigin =
  /** `isIgnored` lets the error for a missing file tell why it is missing. */
  | { readonly kind: 'context'; readonly tree: FileTree & { isIgnored?(path: ByteString): boolean } }
  /** `--from`: the root filesystem that is the op's second input. */
  | { readonly kind: 'stage' }

/** One source word of COPY or ADD, expanded. */
export type CopySource =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'heredoc'; readonly name: string; readonly content: string }

export interface CopySpec {
  readonly origin: CopyOrigin
  readonly sources: readonly CopySource[]
  /** Expanded; relative to `workdir`. A trailing `/` counts. */
  readonly destination: string
  /** Absolute. */
  readonly workdir: string
  /** `user[:group]`, names or numbers, expanded. */
  readonly chown?: string
  readonly chmod?: ModeChange
}

/** COPY, as one layer over the op's first input. */
export function createCopyOp(spec: CopySpec, deps: LayerOpDeps): LayerOp {
  return createTransferOp('copy', spec, deps, placeSelected)
}
