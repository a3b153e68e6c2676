import { readFileSync } from 'node:fs'

/** `count` ids from `inside` on are those of the parent's namespace from `outside` on. */
export interface IDRange {
  readonly inside: number
  readonly outside: number
  readonly count: number
}

/** As the kernel shows it in `/proc/PID/uid_map` (`user_namespaces(7)`); empty before it is written. */
export type IDMap = readonly IDRange[]

/** The user and group ids that this process can give to files and processes. */
export interface IDMaps {
  readonly uids: IDMap
  readonly gids: IDMap
}

const ALL_IDS = 2 ** 32 - 1

/** Of this process: undefined in the namespace of the machine, where every id is what it is. */
export function ownIDMaps(): IDMaps | undefined {
  const uids = parseIDMap(readFileSync('/proc/self/uid_map', 'latin1'))
  const gids = parseIDMap(readFileSync('/proc/self/gid_map', 'latin1'))
  return isWholeMachine(uids) && isWholeMachine(gids) ? undefined : { uids, gids }
}

export function parseIDMap(text: string): IDMap {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => {
      const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number)
      return { inside, outside, count }
    })
}

export function isMapped(map: IDMap, id: number): boolean {
  return map.some(({ inside, count }) => id >= inside && id < inside + count)
}

/** `0-65536`, or `0` where there is no other. */
export function formatIDs(map: IDMap): string {
  const ranges: { first: number; last: number }[] = []
  for (const { inside, count } of map.toSorted((a, b) => a.inside - b.inside)) {
    const before = ranges.at(-1)
    if (before?.last === inside - 1) before.last = inside + count - 1
    else ranges.push({ first: inside, last: inside + count - 1 })
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(', ')
}

/** A namespace that an ordinary user has made for himself: root in it is he alone, and other ids are borrowed. */
export function isOfOrdinaryUser({ uids }: IDMaps): boolean {
  return uids.some(({ inside, outside, count }) => inside === 0 && outside !== 0 && count === 1)
}

function isWholeMachine([range]: IDMap): boolean {
  return range?.inside === 0 && range.outside === 0 && range.count === ALL_IDS
}
