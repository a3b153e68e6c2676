import type { LayerOp } from '../solve/vertex.ts'
import type { CopySpec } from './copy.ts'
import type { LayerOpDeps } from './deps.ts'

/** ADD of local files: COPY, but archives (told by their content) are unpacked into the destination. */
export function createAddOp(_spec: CopySpec, _deps: LayerOpDeps): LayerOp {
  throw new Error('not yet')
}
