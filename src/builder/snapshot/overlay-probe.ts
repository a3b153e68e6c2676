import { mkdirSync } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import type { Linux } from '../../linux/linux.ts'
import { mountRoot } from './mounting.ts'
import { createOwnedDirectory } from './owned-directory.ts'

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
  const options = [...directories, 'index=off', 'redirect_dir=off', 'metacopy=off']
  try {
    using _mounted = mountRoot(linux, [{ type: 'overlay', source: 'overlay', options }], `${work.path}/root`)
    return undefined
  } catch (error) {
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
