import { statSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../oci/errors.ts'
import type { Terminal } from './terminal.ts'

/** Root may write into everybody's store, and who owns the store then may not read what is in it. */
export function warnOfOwner(root: string, { userID, stderr }: Pick<Terminal, 'userID' | 'stderr'>): void {
  const owner = userID === 0 ? ownerOf(join(root, 'metadata.db')) : undefined
  if (owner === undefined || owner === userID) return
  stderr.write(
    `warning: the store ${root} is of user ${owner}, who cannot read what root adds to it; do this as that user, or with another --root\n`,
  )
}

function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
