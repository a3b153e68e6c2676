import { mkdirSync } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import type { Linux } from '../../linux/linux.ts'
import { mountRoot, overlayOptions } from './mounting.ts'
import { createOwnedDirectory } from './owned-directory.ts'
import type { Mount } from './snapshotter.ts'

export interface OverlayProblem {
  /** `forbidden`: nothing may be mounted. `unsupported`: no overlay can be. */
  readonly code: 'forbidden' | 'unsupported'
  readonly text: string
}

/**
 * Why no overlay can be mounted over files of a directory; undefined where one can.
 * @param parent absolute path of a directory where a directory of ours may be made for the time of the call
 */
export async function overlayProblem(linux: Linux, parent: string): Promise<OverlayProblem | undefined> {
  await using work = createOwnedDirectory(linux, parent)
  for (const name of ['lower', 'upper', 'work', 'root']) mkdirSync(`${work.path}/${name}`)
  const directories = [
    `lowerdir+=${work.path}/lower`,
    `upperdir=${work.path}/upper`,
    `workdir=${work.path}/work`,
  ]
  // As those of steps are: at the end of any other, the kernel writes out all that waits to be written on this disk.
  const options = [...directories, ...overlayOptions(linux), 'volatile']
  try {
    using _mounted = mountRoot(linux, [{ type: 'overlay', source: 'overlay', options }], `${work.path}/root`)
    return undefined
  } catch (error) {
    if (isLinuxError(error, 'EPERM') && mayBind(linux, work.path))
      return { code: 'unsupported', text: 'overlayfs takes no mount in a user namespace before Linux 5.11' }
    if (isLinuxError(error, 'EPERM', 'EACCES'))
      return { code: 'forbidden', text: 'this process may not mount (it lacks CAP_SYS_ADMIN)' }
    if (isLinuxError(error, 'ENODEV')) return { code: 'unsupported', text: 'the kernel has no overlayfs' }
    if (isLinuxError(error, 'EINVAL', 'ENOTSUP', 'EREMOTE', 'ESTALE'))
      return {
        code: 'unsupported',
        text: `overlayfs cannot lie on the file system of ${parent} (${error.code})`,
      }
    throw error
  }
}

function mayBind(linux: Linux, directory: string): boolean {
  const bind: Mount = { type: 'bind', source: `${directory}/lower`, options: [] }
  try {
    using _mounted = mountRoot(linux, [bind], `${directory}/root`)
    return true
  } catch (error) {
    if (isLinuxError(error, 'EPERM', 'EACCES')) return false
    throw error
  }
}
