import { readFileSync } from 'node:fs'
import { isErrno } from '../../oci/errors.ts'

/** A small file of our own, as text; undefined where there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
