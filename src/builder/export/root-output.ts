/** The files of the root filesystem, as one tar or laid into a directory. */
import { lstatSync } from 'node:fs'
import { mkdir, realpath, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { getuid } from 'node:process'
import type { Writable } from 'node:stream'
import { isOfOrdinaryUser, ownIDMaps } from '../../linux/id-map.ts'
import type { Linux } from '../../linux/linux.ts'
import { isErrno } from '../../oci/errors.ts'
import { type TarItem, writeTar } from '../../oci/tar/writer.ts'
import { makeFolderPath } from '../../store/folder-path.ts'
import { BuildError } from '../errors.ts'
import type { ApplyOptions } from '../snapshot/apply.ts'
import { removeTree } from '../snapshot/remove-tree.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { exportError, temporaryName, writeFileAtomically, writeStream } from './atomic-file.ts'
import { mergeDirectories } from './merge-directories.ts'
import { rootfsItems } from './rootfs.ts'
import { writeUserFiles } from './user-files.ts'

export async function exportToTar(
  items: AsyncIterable<TarItem>,
  dest: string | Writable,
  signal: AbortSignal,
): Promise<void> {
  const write = (to: Writable, end: boolean): Promise<void> =>
    writeStream(writeTar(items), to, { signal, end })
  if (typeof dest === 'string') await writeFileAtomically(dest, to => write(to, true))
  else await write(dest, false)
}

/**
 * Lays the files over what is in the directory, making it where it is missing. All of them are written beside it
 * first and then moved in: what fails on the way leaves the directory as it was. Owners and attributes are kept by
 * root; other users get files of their own.
 * @param note is told of owners that cannot be kept
 */
export async function exportToDirectory(
  tree: FileTree,
  dest: string,
  signal: AbortSignal,
  note?: (text: string) => void,
): Promise<void> {
  const target = await followed(dest)
  const there = lstatSync(target, { throwIfNoEntry: false })
  if (there?.isDirectory() === false)
    throw new BuildError('export-failed', `Cannot write ${dest}: it is not a folder`)
  const temporary = temporaryName(target)
  try {
    makeFolderPath(dirname(target))
    await mkdir(temporary, { mode: 0o755 })
    const items = rootfsItems(tree, signal)
    const linux = isRoot() ? await loadedLinux() : undefined
    if (linux !== undefined) await applyRoot(items, { linux, directory: temporary, lower: [], signal })
    else {
      note?.('the files belong to you: only root can give them their owners')
      await writeUserFiles(items, temporary, signal)
    }
    if (there === undefined) await rename(temporary, target)
    else await mergeDirectories(Buffer.from(temporary), Buffer.from(target))
  } catch (error) {
    throw exportError(error, dest)
  } finally {
    await removeTree(temporary)
  }
}

/** Who has become root in a user namespace of his own wants files of his own. */
function isRoot(): boolean {
  if (getuid?.() !== 0) return false
  const maps = ownIDMaps()
  return maps === undefined || !isOfOrdinaryUser(maps)
}

async function loadedLinux(): Promise<Linux | undefined> {
  const { tryLoadLinux } = await import('../../linux/linux.ts')
  return tryLoadLinux()
}

async function applyRoot(items: AsyncIterable<TarItem>, options: ApplyOptions): Promise<void> {
  const { applyLayer } = await import('../snapshot/apply.ts')
  await applyLayer(writeTar(items), options)
}

/** The directory that the user's own symlink names; what is inside is never followed. */
async function followed(dest: string): Promise<string> {
  try {
    return await realpath(dest)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return dest
    throw exportError(error, dest)
  }
}
