import type { ArchiveLimits } from '../../oci/limits.ts'
import type { Compression } from '../../oci/media-type.ts'
import type { Layers } from '../../store/layers.ts'
import type { StepLimits } from '../exec/limits.ts'
import type { Downloads } from '../fetch/downloads.ts'
import type { GitSources } from '../fetch/git-sources.ts'
import type { Result } from '../solve/vertex.ts'
import type { OpenTree } from '../tree/image-tree.ts'

/** What the ops that write a layer without a root filesystem (COPY, ADD, WORKDIR) work with. */
export interface LayerOpDeps {
  readonly layers: Layers
  /** Of the layers that they write; outputs want others too, so it is in no key. */
  readonly compression: Compression
  readonly limits: StepLimits
  /** The files of a root filesystem; the op disposes it. */
  openTree(result: Result, signal: AbortSignal): Promise<OpenTree>
  /** Time of what no source gives a time to (created parents, heredocs, WORKDIR), in seconds since the epoch. */
  readonly createdAt: number
  /** Where unpacked archives wait for the layer to be written; on the disk of the store, not in memory. */
  readonly temporaryDirectory: string
  readonly downloads: Pick<Downloads, 'get'>
  /** Of archives that ADD unpacks. */
  readonly archiveLimits?: Partial<ArchiveLimits>
  readonly git: Pick<GitSources, 'resolve' | 'open'>
}
