import type { LayerOp } from '../solve/vertex.ts'
import { createCopyOp } from './copy.ts'
import type { CopySpec } from './copy-spec.ts'
import type { LayerOpDeps } from './deps.ts'
import { placeSelected } from './placement.ts'
import { createTransferOp } from './transfer.ts'
import { unpackArchive } from './unpack.ts'

/**
 * ADD of local files: COPY, but archives (told by their content) are unpacked into the destination. Where nothing is
 * unpacked it is a COPY, and has the key of one.
 */
export function createAddOp(spec: CopySpec, deps: LayerOpDeps): LayerOp {
  if (spec.unpack === 'none') return createCopyOp(spec, deps)
  return createTransferOp('add', spec, deps, async (placing, selected) => {
    const isUnpacked = selected.node.type === 'file' && (await unpackArchive(placing, selected))
    if (!isUnpacked) await placeSelected(placing, selected)
  })
}
