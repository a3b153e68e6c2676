import type { ByteString } from '../../oci/byte-string.ts'
import type { Digest } from '../../oci/digest.ts'
import type { IgnoreRules } from '../context/ignore.ts'
import type { ModeChange } from '../dockerfile/chmod.ts'
import type { GitReference } from '../fetch/git-reference.ts'
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
  /** http or https. */
  | { readonly kind: 'url'; readonly url: string; readonly checksum?: Digest }
  /** `text` as it was written. */
  | { readonly kind: 'git'; readonly text: string; readonly reference: GitReference }
  | { readonly kind: 'heredoc'; readonly name: string; readonly content: string }

/** Which archives are unpacked: those of the context only, or of URLs too. */
export type Unpacking = 'none' | 'local' | 'all'

/** What a COPY or ADD says. */
export interface CopySpec {
  readonly origin: CopyOrigin
  readonly sources: readonly CopySource[]
  /** Paths below a source directory, relative to it, that stay behind. A source itself never does. */
  readonly exclude?: IgnoreRules
  /** Each source keeps its path, from the root or from a `/./` in it. */
  readonly parents?: boolean
  /** Expanded; relative to `workdir`. A trailing `/` counts. */
  readonly destination: string
  /** Absolute. */
  readonly workdir: string
  /** `user[:group]`, names or numbers, expanded. */
  readonly chown?: string
  readonly chmod?: ModeChange
  /** The layer is made as if over nothing, and so is the same over any root. */
  readonly link?: boolean
  /** `local` by default, for ADD. */
  readonly unpack?: Unpacking
}
