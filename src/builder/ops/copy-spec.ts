import type { ByteString } from '../../oci/byte-string.ts'
import type { ModeChange } from '../dockerfile/chmod.ts'
import type { FileTree } from '../tree/file-tree.ts'

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

/** What a COPY or ADD says. */
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
