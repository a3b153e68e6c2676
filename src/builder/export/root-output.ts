/** The files of the root filesystem, as one tar or laid into a directory. */
import { lstat, mkdir, readdir, realpath, rename } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { displayText } from '../../oci/byte-string.ts'
import { isErrno } from '../../oci/errors.ts'
import { type TarItem, writeTar } from '../../oci/tar/writer.ts'
import { BuildError } from '../errors.ts'
import { removeTree } from '../snapshot/remove-tree.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { exportError, temporaryName, writeFileAtomically, writeStream } from './atomic-file.ts'
import { rootfsItems } from './rootfs.ts'

export async function exportToTar(
  tree: FileTree,
  dest: string | Writable,
  signal: AbortSignal,
): Promise<void> {
  const write = (to: Writable, end: boolean): Promise<void> =>
    writeStream(writeTar(rootfsItems(tree, signal)), to, { signal, end })
  if (typeof dest === 'string') await writeFileAtomically(dest, to => write(to, true))
  else await write(dest, false)
}

/**
 * Lays the files over what is in the directory, making it where it is missing. All of them are written beside it
 * first and then moved in: what fails on the way leaves the directory as it was. Owners are kept where we may set
 * them, else the files are ours.
 */
export async function exportToDirectory(tree: FileTree, dest: string, signal: AbortSignal): Promise<void> {
  const target = await followed(dest)
  const temporary = temporaryName(target)
  try {
    await mkdir(dirname(target), { recursive: true })
    await mkdir(temporary, { mode: 0o755 })
    const { applyLayer } = await import('../snapshot/apply.ts')
    const { loadLinux } = await import('../../linux/linux.ts')
    const owned = userInfo().uid === 0 ? rootfsItems(tree, signal) : unprivileged(rootfsItems(tree, signal))
    await applyLayer(writeTar(owned), { linux: await loadLinux(), directory: temporary, lower: [], signal })
    await merge(Buffer.from(temporary), Buffer.from(target))
  } catch (error) {
    throw exportError(error, dest)
  } finally {
    await removeTree(temporary)
  }
}

/** What a user may write: files of their own, without attributes that only root can set. */
async function* unprivileged(items: AsyncIterable<TarItem>): AsyncGenerator<TarItem> {
  const { uid, gid } = userInfo()
  for await (const { entry, ...rest } of items) {
    if (entry.type === 'character' || entry.type === 'block')
      throw new BuildError(
        'privilege-missing',
        `Cannot write device node /${displayText(entry.path)}: only root can make devices`,
        { hint: 'use -o type=tar' },
      )
    const { xattrs, ...plain } = entry
    const kept = [...(xattrs ?? [])].filter(([name]) => name.startsWith('user.'))
    yield { ...rest, entry: { ...plain, uid, gid, ...(kept.length > 0 && { xattrs: new Map(kept) }) } }
  }
}

/** Moves `from` to `to`; a directory goes into a directory, anything else replaces what is there. Follows no symlink. */
async function merge(from: Buffer, to: Buffer): Promise<void> {
  const [moved, there] = [await lstat(from), await lstatOrUndefined(to)]
  if (moved.isDirectory() && there?.isDirectory()) {
    for (const name of await readdir(from, { encoding: 'buffer' }))
      await merge(child(from, name), child(to, name))
    return
  }
  if (there !== undefined && (moved.isDirectory() || there.isDirectory())) await removeTree(to)
  await rename(from, to)
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

async function lstatOrUndefined(path: Buffer) {
  try {
    return await lstat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function child(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), name])
}
