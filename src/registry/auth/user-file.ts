import { readFile, stat } from 'node:fs/promises'
import { isErrno } from '../../oci/errors.ts'
import { RegistryError } from '../errors.ts'
import { parseHtpasswd, type Users } from './htpasswd.ts'

export interface UserFile {
  /**
   * The users as the file has them now, or a second ago. Undefined as long as there is no such file; one that has gone
   * leaves nobody.
   */
  current(): Promise<Users | undefined>
}

export interface UserFileDeps {
  readonly path: string
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number
  /** A file that cannot be read any more: the users known before stay. Called once per state of the file. */
  readonly warn: (problem: Error) => void
}

const LOOK_EVERY_MS = 1000

/** @throws RegistryError `users-invalid` where the file is wrong from the start */
export async function openUserFile({ path, monotonicMs, warn }: UserFileDeps): Promise<UserFile> {
  let seen = await stateOf(path)
  let users = seen === undefined ? undefined : await readUsers(path)
  let lookedAt = monotonicMs()
  let looking: Promise<void> | undefined

  const look = async (): Promise<void> => {
    const state = await stateOf(path)
    if (state === seen) return
    seen = state
    try {
      users = state === undefined ? new Map() : await readUsers(path)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      warn(error)
    }
  }
  return {
    async current() {
      if (monotonicMs() - lookedAt >= LOOK_EVERY_MS)
        looking ??= look().finally(() => {
          lookedAt = monotonicMs()
          looking = undefined
        })
      await looking
      return users
    },
  }
}

/** Whoever writes the file replaces or changes it: one of these differs then. */
async function stateOf(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [ino, size, mtimeNs, ctimeNs].join(' ')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    // Reading it tells the reason.
    return 'unreadable'
  }
}

async function readUsers(path: string): Promise<Users> {
  try {
    return parseHtpasswd(await readFile(path, 'utf8'), path)
  } catch (error) {
    throw error instanceof RegistryError ? error : unreadable(path, error)
  }
}

function unreadable(path: string, cause: unknown): RegistryError {
  const reason = isErrno(cause, 'EACCES', 'EPERM') ? 'permission denied' : 'it is not a readable file'
  return new RegistryError('users-invalid', `Cannot read users ${path}: ${reason}`, { cause })
}
