import { loadLinux } from '../../linux/linux.ts'
import { BuildError } from '../errors.ts'
import { createCopyingSnapshotter } from './copying-snapshotter.ts'
import { overlayProblem } from './overlay-probe.ts'
import { createOverlaySnapshotter } from './overlay-snapshotter.ts'
import { requireRoot } from './privilege.ts'
import type { Snapshotter } from './snapshotter.ts'
import { bootDirectory } from './stale-state.ts'

export interface SnapshotterChoice {
  /** Of the store, absolute. */
  readonly root: string
  /** Root filesystems are mounted; else they may be used where they lie. */
  readonly needsMounts: boolean
  /** Is told what costs time or space, and why. */
  note(text: string): void
}

/**
 * Overlays where this machine can mount them, else copies.
 * @throws BuildError `privilege-missing`
 */
export async function openSnapshotter({ root, needsMounts, note }: SnapshotterChoice): Promise<Snapshotter> {
  requireRoot()
  const problem = await overlayProblem(await loadLinux(), await bootDirectory(root))
  if (problem === undefined) return createOverlaySnapshotter({ root })
  if (problem.code === 'forbidden' && needsMounts)
    throw new BuildError('privilege-missing', `Cannot mount root filesystem: ${problem.text}`, {
      hint: "in a container, run it with --privileged; 'slipway doctor' tells more",
    })
  // Where nothing can be mounted that is said with all else that is missing.
  if (needsMounts)
    note(`RUN works on copies of root filesystems, which takes time and space: ${problem.text}`)
  return createCopyingSnapshotter({ root })
}
