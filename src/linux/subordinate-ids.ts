import { readSystemFile } from './system-file.ts'

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
  const read = (file: string) => parseSubordinateIDs(readSystemFile(file) ?? '', user)
  return { uids: read('/etc/subuid'), gids: read('/etc/subgid') }
}

/** Of users and groups alike: from here on nobody has subordinate ids. */
export function firstFreeID(): number {
  return afterSubordinateIDs(
    ['/etc/subuid', '/etc/subgid'].map(file => readSystemFile(file) ?? '').join('\n'),
  )
}

/** Below are the ids of users themselves. */
const FIRST_ID = 100_000

/** @param text lines of `NAME:START:COUNT` */
export function afterSubordinateIDs(text: string): number {
  const ends = text.split('\n').flatMap(line => {
    const [, start, count] = LINE_OF_ANYBODY.exec(line) ?? []
    return start === undefined ? [] : [Number(start) + Number(count)]
  })
  return Math.max(FIRST_ID, ...ends)
}

const LINE_OF_ANYBODY = /^[^:#]+:(\d+):(\d+)\s*$/

/** The highest number means no id. */
const MAX_ID = 2 ** 32 - 1

/** Lines of `NAME:START:COUNT`; a user may stand there by name or by number (`subuid(5)`). */
export function parseSubordinateIDs(
  text: string,
  { name, uid }: { readonly name: string | undefined; readonly uid: number },
): readonly SubordinateRange[] {
  return text.split('\n').flatMap(line => {
    const [, owner, start, count] = /^([^:#]+):(\d+):(\d+)\s*$/.exec(line) ?? []
    if (owner === undefined || (owner !== name && owner !== String(uid))) return []
    const range = { start: Number(start), count: Number(count) }
    return range.count > 0 && range.start + range.count <= MAX_ID ? [range] : []
  })
}
