import { formatIDs, type IDMaps, isMapped } from '../../linux/id-map.ts'
import { BuildError } from '../errors.ts'
import type { ContainerProcess } from './executor.ts'

const MORE_IDS =
  'ids of other users need the package uidmap, and a line for this user in /etc/subuid and /etc/subgid'

/**
 * @param idMaps undefined for the machine's root, who may do all of it
 * @throws BuildError `privilege-missing` for a user or group that is not in the namespace
 */
export function requirePossible(process: ContainerProcess, idMaps: IDMaps | undefined): void {
  if (idMaps === undefined) return
  const { user, mounts } = process
  requireID('user', user.uid, idMaps.uids)
  for (const gid of [user.gid, ...user.additionalGids]) requireID('group', gid, idMaps.gids)
  for (const mount of mounts) {
    if (mount.kind !== 'file') continue
    requireID('user', mount.uid, idMaps.uids)
    requireID('group', mount.gid, idMaps.gids)
  }
}

function requireID(kind: 'user' | 'group', id: number, map: IDMaps['uids']): void {
  if (isMapped(map, id)) return
  const has =
    map.reduce((sum, { count }) => sum + count, 0) === 1 ? 'knows none but 0' : `knows ${formatIDs(map)}`
  throw new BuildError(
    'privilege-missing',
    `Cannot run a step as ${kind} ${id}: without root, this build ${has}`,
    { hint: MORE_IDS },
  )
}
