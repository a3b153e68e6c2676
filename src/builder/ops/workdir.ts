import type { LayerOp } from '../solve/vertex.ts'
import type { LayerOpDeps } from './deps.ts'

export interface WorkdirSpec {
  /** Absolute, joined with the previous ones, not necessarily clean. */
  readonly path: string
  /** The config's `User`; empty for root. Owns the directories that are created. */
  readonly user: string
}

/** WORKDIR: creates the levels that are missing. Always one layer, perhaps an empty one. */
export function createWorkdirOp(_spec: WorkdirSpec, _deps: LayerOpDeps): LayerOp {
  throw new Error('not yet')
}
