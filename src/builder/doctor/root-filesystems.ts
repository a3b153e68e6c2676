import { loadLinux } from '../../linux/linux.ts'
import { overlayProblem } from '../snapshot/overlay-probe.ts'
import { bootDirectory } from '../snapshot/stale-state.ts'
import type { Finding } from './finding.ts'

/** How steps get their root filesystems. Needs a user who is root, be it in a user namespace. */
export async function checkRootFilesystems(storeRoot: string): Promise<Finding> {
  const subject = 'root filesystems'
  const problem = await overlayProblem(await loadLinux(), await bootDirectory(storeRoot))
  if (problem === undefined) return { subject, state: 'good', found: 'overlays over unpacked layers' }
  if (problem.code === 'forbidden')
    return {
      subject,
      state: 'limited',
      found: problem.text,
      meaning: 'RUN works with --isolation=chroot alone, on copies of root filesystems',
      remedy: 'in a container, docker run --privileged, or --cap-add=SYS_ADMIN',
    }
  return {
    subject,
    state: 'limited',
    found: `copies, since ${problem.text}`,
    meaning: 'each RUN copies its root filesystem first, which takes time and space',
    remedy:
      'keep the store (--root DIR) on a local disk with ext4, xfs or btrfs; in a container, on a volume',
  }
}
