import { type BigIntStats, fstatSync, lstatSync } from 'node:fs'
import { isLinuxError } from '../../linux/errors.ts'
import { fdPath, type Linux } from '../../linux/linux.ts'

/** A name in an open directory: the same place whatever happens to the path that led there. */
export interface Place {
  readonly parent: number
  readonly name: Buffer
}

/** Of the file itself, not of what a symlink points at; undefined for nothing. */
export function statAt(parent: number, name: Buffer): BigIntStats | undefined {
  return lstatSync(fdPath(parent, name), { bigint: true, throwIfNoEntry: false })
}

/** Of an open directory, also one opened only to name it. */
export function inodeOf(directory: number): bigint {
  return fstatSync(directory, { bigint: true }).ino
}

export function isSameFile(a: Place, b: Place): boolean {
  return a.name.equals(b.name) && inodeOf(a.parent) === inodeOf(b.parent)
}

/** A directory that only its owner may use; false, and nothing done, when something is there. */
export function tryMakeDirectory(linux: Linux, { parent, name }: Place): boolean {
  try {
    linux.mkdirat(parent, name, 0o700)
    return true
  } catch (error) {
    if (!isLinuxError(error, 'EEXIST')) throw error
    return false
  }
}
