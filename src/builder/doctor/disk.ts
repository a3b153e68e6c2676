import { statfsSync } from 'node:fs'
import type { Finding } from './finding.ts'

/** What a build over a usual base wants. */
const WANTED_BYTES = 5e9
const WANTED_FILES = 200_000

/** What `statfs(2)` tells of the disk of the store. */
export type DiskSpace = Readonly<Record<'bavail' | 'bsize' | 'ffree' | 'files', number>>

/** @param storeRoot of an open store */
export function checkDisk(storeRoot: string, space: DiskSpace = statfsSync(storeRoot)): Finding {
  const subject = 'disk'
  const { bavail, bsize, ffree, files } = space
  const bytes = bavail * bsize
  // btrfs and others make inodes as they go, and tell of none.
  const hasFiles = files === 0 || ffree >= WANTED_FILES
  const found = `${(bytes / 1e9).toFixed(1)} GB free at ${storeRoot}${hasFiles ? '' : `, for ${ffree} files at most`}`
  if (bytes >= WANTED_BYTES && hasFiles) return { subject, state: 'good', found }
  return {
    subject,
    state: 'limited',
    found,
    meaning: 'larger builds may not fit',
    remedy: 'slipway prune && slipway gc',
  }
}
