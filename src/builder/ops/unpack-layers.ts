import type { Digest } from '../../oci/digest.ts'
import { isErrno, OciError } from '../../oci/errors.ts'
import { extendChain } from '../../oci/identity.ts'
import { storeErrorFrom } from '../../store/errors.ts'
import type { ImageLayers, ReadLayer } from '../images/image-layers.ts'
import type { Snapshotter } from '../snapshot/snapshotter.ts'
import type { OpContext, ResultLayer } from '../solve/vertex.ts'

/** Unpacks what these layers make up, and fetches them where that is to be done. */
export type Unpack = (
  layers: readonly ResultLayer[],
  snapshotter: Snapshotter,
  context: OpContext,
) => Promise<void>

/** Unpacks stacks of layers into snapshots; of steps that need the same one at once, one does the work. */
export function createUnpack(layers: Pick<ImageLayers, 'readTars' | 'require'>): Unpack {
  const running = new Map<Digest, Promise<void>>()

  return async (wanted, snapshotter, context) => {
    const levels = await missing(wanted, snapshotter)
    let next = 0
    const unpack: ReadLayer = (layer, openTar) => {
      const level = levels[next++]
      if (level === undefined) throw new Error(`Cannot unpack layer ${layer.digest}: nobody asked for it`)
      const applied = running.get(level.name) ?? apply(level, openTar, snapshotter, context)
      running.set(level.name, applied)
      return applied
    }
    await layers.readTars(
      levels.map(({ layer }) => layer),
      context,
      unpack,
    )
    await layers.require(wanted, context)
  }
}

async function apply(
  { name, parent, layer }: Level,
  openTar: () => Promise<AsyncIterable<Buffer>>,
  snapshotter: Snapshotter,
  { signal, status }: OpContext,
): Promise<void> {
  const { digest } = layer
  try {
    const tar = await openTar()
    status(`unpacking ${digest.slice(0, 19)}`)
    await snapshotter.apply(name, parent, tar, signal)
  } catch (error) {
    // Of a file it tells neither which one, nor what to do.
    if (isErrno(error, 'ENOSPC', 'EDQUOT')) throw storeErrorFrom(error, `Cannot unpack layer ${digest}`)
    if (!(error instanceof OciError) || error.message.includes(digest)) throw error
    throw new OciError(error.code, `Cannot unpack layer ${digest}: ${error.message}`, { cause: error })
  }
}

interface Level {
  readonly name: Digest
  readonly parent: Digest | undefined
  readonly layer: ResultLayer
}

/** The levels above the highest one that is unpacked, lowest first. */
async function missing(layers: readonly ResultLayer[], snapshotter: Snapshotter): Promise<readonly Level[]> {
  const levels: Level[] = []
  let parent: Digest | undefined
  for (const layer of layers) {
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
