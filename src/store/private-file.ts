import { chmodSync, closeSync, openSync, statSync } from 'node:fs'
import { isErrno } from '../oci/errors.ts'

/** Makes a file that only its owner can read, empty where it is new. What another user owns stays as it is. */
export function makePrivateFile(path: string): void {
  closeSync(openSync(path, 'a', 0o600))
  makePrivate(path)
}

/** The database has the keys of the registry's tokens. Its companions are made with its own mode, but may be older. */
export function makeDatabasePrivate(path: string): void {
  makePrivateFile(path)
  for (const companion of [`${path}-wal`, `${path}-shm`]) makePrivate(companion)
}

function makePrivate(path: string): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
  if ((mode & 0o077) === 0) return
  try {
    chmodSync(path, 0o600)
  } catch (error) {
    if (!isErrno(error, 'EPERM', 'EROFS', 'ENOENT')) throw error
  }
}
