import { type BigIntStats, lstatSync } from 'node:fs'
import { isErrno } from '../../oci/errors.ts'

/** Of a file in an unpacked layer; undefined where there is none, or none can be: nothing unpacked has such a name. */
export function statLayerFile(path: Buffer): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false })
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) return undefined
    throw error
  }
}
