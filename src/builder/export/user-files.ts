import { createWriteStream } from 'node:fs'
import { chmod, link, lutimes, mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { type ByteString, bytesOf, displayText } from '../../oci/byte-string.ts'
import type { TarItem } from '../../oci/tar/writer.ts'
import { BuildError } from '../errors.ts'

/**
 * Writes files into a new directory as a user who is not root: they belong to that user, and have no extended
 * attributes. Items come as `rootfsItems` gives them, directories before what is in them, so every parent is a
 * directory that was made here.
 * @throws BuildError `privilege-missing` for a device node
 */
export async function writeUserFiles(
  items: AsyncIterable<TarItem>,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const at = (path: ByteString): Buffer => Buffer.concat([Buffer.from(`${directory}/`), bytesOf(path)])
  const directories: { readonly path: Buffer; readonly mode: number; readonly mtime: number }[] = []
  for await (const item of items) {
    signal.throwIfAborted()
    const { mode, mtime, type } = item.entry
    const path = at(item.entry.path)
    await writeItem(item, path, at, signal)
    if (type === 'directory') directories.push({ path, mode, mtime })
    else if (type === 'symlink') await lutimes(path, mtime, mtime)
    else if (type !== 'link') {
      await chmod(path, mode)
      await utimes(path, mtime, mtime)
    }
  }
  // At the end, deepest first: a new file changes its directory's time, and may not even be allowed any more.
  for (const { path, mode, mtime } of directories.reverse()) {
    await chmod(path, mode)
    await utimes(path, mtime, mtime)
  }
}

async function writeItem(
  { entry, body }: TarItem,
  path: Buffer,
  at: (path: ByteString) => Buffer,
  signal: AbortSignal,
): Promise<void> {
  const { type, linkPath = '' as ByteString } = entry
  switch (type) {
    case 'directory':
      return mkdir(path, { mode: 0o700 }).then(() => undefined)
    case 'symlink':
      return symlink(bytesOf(linkPath), path)
    case 'link':
      return link(at(linkPath), path)
    case 'file':
      return body === undefined || body instanceof Uint8Array
        ? writeFile(path, body ?? '', { flag: 'wx', mode: 0o600 })
        : pipeline(body, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal })
    case 'fifo': {
      const { AT_FDCWD, S_IFIFO, tryLoadLinux } = await import('../../linux/linux.ts')
      const linux = await tryLoadLinux()
      if (linux !== undefined) return linux.mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0, 0)
      throw new BuildError(
        'privilege-missing',
        `Cannot write pipe /${displayText(entry.path)}: this system has no calls of Linux`,
        { hint: 'use -o type=tar' },
      )
    }
    case 'character':
    case 'block':
      throw new BuildError(
        'privilege-missing',
        `Cannot write device node /${displayText(entry.path)}: only root can make devices`,
        { hint: 'use -o type=tar' },
      )
  }
}
