/** Files that others keep in the store's folder, and that are of no use without it or it without them. */
import { constants } from 'node:fs'
import { chmod, copyFile, mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isErrno } from '../oci/errors.ts'
import { nodeStoreFiles } from './store-files.ts'
import { syncFile } from './sync-file.ts'

/**
 * Makes the files at `to` what they are at `from`, each at once and with its mode: one that is not there goes.
 *
 * @param paths relative to both folders
 */
export async function copyFiles(from: string, to: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const target = join(to, path)
    const partial = `${target}.partial`
    const folder = dirname(target)
    try {
      const { mode } = await stat(join(from, path))
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await rm(partial, { force: true })
      await copyFile(join(from, path), partial, constants.COPYFILE_FICLONE)
      await chmod(partial, mode & 0o777)
      await syncFile(partial)
      await rename(partial, target)
      nodeStoreFiles.syncFolderSync(folder)
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
      await rm(target, { force: true })
    }
  }
}
