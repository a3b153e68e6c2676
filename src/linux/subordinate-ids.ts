import { readFileSync } from 'node:fs'

/** Ids that a user may hand out beside his own. */
export interface SubordinateRange {
  readonly start: number
  readonly count: number
}

export interface SubordinateIDs {
  readonly uids: readonly SubordinateRange[]
  readonly gids: readonly SubordinateRange[]
}

/** Those of `/etc/subuid` and `/etc/subgid`, which `newuidmap` and `newgidmap` (package uidmap) hand out. */
export function subordinateIDs(user: {
  readonly name: string | undefined
  readonly uid: number
}): SubordinateIDs {
  const read = (file: string) => parseSubordinateIDs(readIfThere(file), user)
  return { uids: read('/etc/subuid'), gids: read('/etc/subgid') }
}

/** Lines of `NAME:START:COUNT`; a user may stand there by name or by number (`subuid(5)`). */
export function parseSubordinateIDs(
  text: string,
  { name, uid }: { readonly name: string | undefined; readonly uid: number },
): readonly SubordinateRange[] {
  return text.split('\n').flatMap(line => {
    const [, owner, start, count] = /^([^:#]+):(\d+):(\d+)\s*$/.exec(line) ?? []
    if (owner === undefined || (owner !== name && owner !== String(uid))) return []
    return Number(count) > 0 ? [{ start: Number(start), count: Number(count) }] : []
  })
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    // No such file, or none that we may read: no ids.
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES'))
      return ''
    throw error
  }
}
