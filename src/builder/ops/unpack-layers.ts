import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { extendChain } from '../../oci/identity.ts'
import type { Layers } from '../../store/layers.ts'
import type { LayerRecord } from '../../store/metadata.ts'
import type { Snapshotter } from '../snapshot/snapshotter.ts'
import type { OpContext } from '../solve/vertex.ts'

export type Unpack = (
  records: readonly LayerRecord[],
  snapshotter: Snapshotter,
  context: OpContext,
) => Promise<void>

/** Unpacks stacks of layers into snapshots; of steps that need the same one at once, one does the work. */
export function createUnpack(layers: Pick<Layers, 'openTar'>): Unpack {
  const running = new Map<Digest, Promise<void>>()

  return async (records, snapshotter, context) => {
    for (const { name, parent, layer } of await missing(records, snapshotter)) {
      let applied = running.get(name)
      if (applied === undefined) {
        context.status(`unpacking ${layer.digest.slice(0, 19)}`)
        applied = apply(name, parent, layer, snapshotter, context.signal)
        running.set(name, applied)
      }
      await applied
    }
  }

  async function apply(
    name: Digest,
    parent: Digest | undefined,
    layer: LayerRecord,
    snapshotter: Snapshotter,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await snapshotter.apply(name, parent, await layers.openTar(layer), signal)
    } catch (error) {
      if (!(error instanceof OciError)) throw error
      throw new OciError(error.code, `Cannot unpack layer ${layer.digest}: ${error.message}`, {
        cause: error,
      })
    }
  }
}

interface Level {
  readonly name: Digest
  readonly parent: Digest | undefined
  readonly layer: LayerRecord
}

/** The levels above the highest one that is unpacked, lowest first. */
async function missing(records: readonly LayerRecord[], snapshotter: Snapshotter): Promise<readonly Level[]> {
  const levels: Level[] = []
  let parent: Digest | undefined
  for (const layer of records) {
    const name = extendChain(parent, layer.diffID)
    levels.push({ name, parent, layer })
    parent = name
  }
  let start = levels.length
  for (let top = levels[start - 1]; top !== undefined; top = levels[start - 1]) {
    if (await snapshotter.has(top.name)) break
    start--
  }
  return levels.slice(start)
}
