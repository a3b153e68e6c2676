import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isErrno } from '../oci/errors.ts'

/**
 * Makes a folder, and those above it that are missing. Node's own `recursive` never ends where a folder that exists
 * refuses a new one with ENOENT, as /proc does.
 * @param path absolute
 * @returns the topmost folder that was made; undefined when there was nothing to make
 */
export function makeFolderPath(path: string, mode = 0o777): string | undefined {
  try {
    mkdirSync(path, mode)
    return path
  } catch (error) {
    if (isErrno(error, 'EEXIST') && isFolder(path)) return undefined
    if (!isErrno(error, 'ENOENT') || isFolder(dirname(path))) throw error
  }
  const topmost = makeFolderPath(dirname(path), mode)
  const made = makeFolderPath(path, mode)
  return topmost ?? made
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
