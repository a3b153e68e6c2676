import type { LayerOp } from '../solve/vertex.ts'
import type { CopySpec } from './copy-spec.ts'
import type { LayerOpDeps } from './deps.ts'
import { placeSelected } from './placement.ts'
import { createTransferOp } from './transfer.ts'

/** COPY, as one layer over the op's first input. */
export function createCopyOp(spec: CopySpec, deps: LayerOpDeps): LayerOp {
  return createTransferOp('copy', spec, deps, placeSelected)
}
