import { chmod, chown, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { isErrno } from '../oci/errors.ts'
import { parseHtpasswd, type Users } from '../registry/auth/htpasswd.ts'
import { CliError } from './errors.ts'

/** Empty when there is no such file. @throws RegistryError `users-invalid` */
export async function readUsersFile(path: string): Promise<{ readonly text: string; readonly users: Users }> {
  try {
    const text = await readFile(path, 'utf8')
    return { text, users: parseHtpasswd(text, path) }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { text: '', users: new Map() }
    throw error
  }
}

/**
 * Replaces the file by what `change` makes of its text: readers see the old one or the new one. The new file is
 * made under a name that is also a lock, so that of two changes at once one is refused and none is lost.
 */
export async function changeUsersFile(path: string, change: (text: string) => string): Promise<void> {
  const next = `${path}.new`
  const file = await openNew(next, path)
  try {
    await using _ = file
    const old = await statOf(path)
    const text = old === undefined ? '' : await readFile(path, 'utf8')
    await file.writeFile(change(text))
    if (old !== undefined) {
      await chmod(next, old.mode & 0o777)
      await chown(next, old.uid, old.gid)
    }
    await file.sync()
    await rename(next, path)
  } catch (error) {
    await rm(next, { force: true })
    throw error
  }
}

async function openNew(next: string, path: string) {
  try {
    return await open(next, 'wx', 0o600)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    throw new CliError(
      'file-unreadable',
      `Cannot change ${path}: ${next} is there, so somebody else changes it`,
      {
        cause: error,
        hint: 'if nobody does, remove it: a process was killed',
      },
    )
  }
}

async function statOf(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
