import { closeSync, constants, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isLinuxError } from '../../linux/errors.ts'
import { AT_FDCWD, type Linux, MS_BIND, O_PATH } from '../../linux/linux.ts'
import { BuildError } from '../errors.ts'
import type { Mount } from './snapshotter.ts'

/** The kernel takes the options of mount(2) in one page. */
const MAX_OPTIONS = 4095

/**
 * Of an overlay whose upper directory tells the whole change: without redirects and metadata-only copies. In a user
 * namespace it keeps what it knows in attributes of users, and then makes no redirects.
 */
export function overlayOptions({ idMaps }: Linux): readonly string[] {
  return ['index=off', idMaps === undefined ? 'redirect_dir=off' : 'userxattr', 'metacopy=off']
}

/** Undone in reverse order when disposed; a mount that is still in use is detached. */
export function mountRoot(linux: Linux, mounts: readonly Mount[], target: string): Disposable {
  let mounted = 0
  const undo = () => {
    for (; mounted > 0; mounted--) unmountOrDetach(linux, target)
  }
  try {
    for (const mount of mounts) {
      if (mount.type === 'bind') linux.mount(mount.source, target, 'none', MS_BIND, '')
      else mountOverlay(linux, mount, target)
      mounted++
    }
  } catch (error) {
    undo()
    throw error
  }
  return { [Symbol.dispose]: undo }
}

export function unmountOrDetach(linux: Linux, target: string): void {
  try {
    linux.unmount(target)
  } catch (error) {
    if (!isLinuxError(error, 'EBUSY')) throw error
    linux.unmount(target, { lazy: true })
  }
}

const DIRECTORY_OPTION = /^(lowerdir\+|upperdir|workdir)=(.*)$/s

/**
 * Directories are passed as `/proc/self/fd/N`: short, so that some 200 layers fit a page, and free of the commas and
 * colons that would need escapes.
 */
function mountOverlay(linux: Linux, mount: Mount, target: string): void {
  const descriptors: number[] = []
  const lower: string[] = []
  const options: string[] = []
  try {
    for (const option of mount.options) {
      const [, key, directory] = DIRECTORY_OPTION.exec(option) ?? []
      if (key === undefined || directory === undefined) {
        options.push(option)
        continue
      }
      const descriptor = linux.openat(AT_FDCWD, directory, O_PATH | constants.O_DIRECTORY)
      descriptors.push(descriptor)
      if (key === 'workdir') forgetVolatileMount(directory)
      if (key === 'lowerdir+') lower.push(`/proc/self/fd/${descriptor}`)
      else options.push(`${key}=/proc/self/fd/${descriptor}`)
    }
    const data = [`lowerdir=${lower.join(':')}`, ...options].join(',')
    if (data.length > MAX_OPTIONS)
      throw new BuildError('run-failed', `Cannot mount root filesystem: ${lower.length} layers are too many`)
    linux.mount(mount.source, target, 'overlay', 0, data)
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor)
  }
}

/**
 * A volatile overlay leaves a mark that keeps it from being mounted again, in case the machine crashed in between. It
 * did not: snapshots of another boot are not used.
 */
function forgetVolatileMount(workDirectory: string): void {
  rmSync(join(workDirectory, 'work', 'incompat'), { recursive: true, force: true })
}
