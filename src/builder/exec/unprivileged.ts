import { formatIDs, type IDMaps, isMapped } from '../../linux/id-map.ts'
import { BuildError } from '../errors.ts'
import type { ContainerProcess } from './executor.ts'

const MORE_IDS =
  "ids of other users need the package uidmap, and a line for this user in /etc/subuid and /etc/subgid: 'slipway doctor' has it"

/**
 * @param idMaps undefined for the machine's root, who may do all of it
 * @throws BuildError `privilege-missing` for a user or group that is not in the namespace
 */
export function requirePossible(process: ContainerProcess, idMaps: IDMaps | undefined): void {
  if (idMaps === undefined) return
  const { user, mounts } = process
  requireOwner(user, idMaps)
  for (const gid of user.additionalGids) requireID('group', gid, idMaps.gids)
  for (const mount of mounts) {
    if (mount.kind === 'file') requireOwner(mount, idMaps)
  }
}

/** @throws BuildError `privilege-missing` for a user or group that is not in the namespace */
export function requireOwner(
  { uid, gid }: { readonly uid: number; readonly gid: number },
  idMaps: IDMaps | undefined,
): void {
  if (idMaps === undefined) return
  requireID('user', uid, idMaps.uids)
  requireID('group', gid, idMaps.gids)
}

/**
 * What to do where a program could not become another user, give a file to one, or make a device, because root in a user
 * namespace may not.
 * @param output the last lines that it printed
 */
export function privilegeHint(output: readonly string[], idMaps: IDMaps | undefined): string | undefined {
  if (idMaps === undefined) return undefined
  const refused = output.filter(line => /invalid argument|operation not permitted/i.test(line))
  if (refused.some(line => /mknod/i.test(line)))
    return 'nobody makes device nodes without root: the step needs a build as root'
  if (!refused.some(line => /chown|chgrp|owner|set(re|res|e|fs)?[ug]id|setgroups/i.test(line)))
    return undefined
  return `without root, this build ${knownIDs(idMaps.uids)}: ${MORE_IDS}`
}

function requireID(kind: 'user' | 'group', id: number, map: IDMaps['uids']): void {
  if (isMapped(map, id)) return
  throw new BuildError(
    'privilege-missing',
    `Cannot run a step with ${kind} ${id}: without root, this build ${knownIDs(map)}`,
    { hint: MORE_IDS },
  )
}

function knownIDs(map: IDMaps['uids']): string {
  const count = map.reduce((sum, range) => sum + range.count, 0)
  return count === 1 ? 'knows no id but 0' : `knows the ids ${formatIDs(map)}`
}
