/**
 * The merged trees of a build's steps. A step stands on the layers of the one before and one more, so its tree is the
 * earlier one grown by a layer: a build of many steps over a large base reads the base's table of contents once, not once
 * a step. A tree that grows is no longer what it was, so it belongs to one reader at a time; who comes meanwhile makes
 * another.
 */
import type { Digest } from '../../oci/digest.ts'
import { type GrowingTree, growTree, type MergedTree } from '../../oci/layer/tree.ts'
import type { Layers } from '../../store/layers.ts'
import type { LayerRecord } from '../../store/metadata.ts'

export interface MergedTrees {
  /** The tree of a stack of layers, lowest first, until it is disposed. @throws OciError as `mergeTocs` */
  take(layers: readonly LayerRecord[]): TakenTree
}

export interface TakenTree extends Disposable {
  readonly tree: MergedTree
}

/** Trees that nobody reads at the moment: as many as a build has stages that take turns, and few for memory's sake. */
const MAX_IDLE = 2

interface Idle {
  readonly diffIDs: readonly Digest[]
  readonly tree: GrowingTree
}

export function createMergedTrees(layers: Pick<Layers, 'toc'>): MergedTrees {
  const idle: Idle[] = []

  /** The one that needs the fewest layers more. */
  function takeBest(diffIDs: readonly Digest[]): Idle | undefined {
    let best: Idle | undefined
    for (const each of idle)
      if (isPrefix(each.diffIDs, diffIDs) && each.diffIDs.length > (best?.diffIDs.length ?? 0)) best = each
    if (best !== undefined) idle.splice(idle.indexOf(best), 1)
    return best
  }

  return {
    take(records) {
      const diffIDs = records.map(({ diffID }) => diffID)
      const found = takeBest(diffIDs)
      const tree = found?.tree ?? growTree()
      const known = found?.diffIDs.length ?? 0
      for (const [index, record] of records.slice(known).entries())
        tree.add(layers.toc(record), known + index)
      return {
        tree,
        [Symbol.dispose]() {
          idle.push({ diffIDs, tree })
          if (idle.length > MAX_IDLE) idle.shift()
        },
      }
    },
  }
}

function isPrefix(start: readonly Digest[], whole: readonly Digest[]): boolean {
  return start.length <= whole.length && start.every((digest, index) => digest === whole[index])
}
