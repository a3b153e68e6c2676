import type { SubordinateIDs } from '../../linux/subordinate-ids.ts'
import type { Finding } from './finding.ts'

/** Who builds here. */
export interface Privileges {
  /** Of the user who has started us. */
  readonly uid: number
  /** Absent for who has a number alone. */
  readonly userName?: string
  /** `none`: there is no need for one. */
  readonly namespace: 'none' | 'entered' | 'refused'
  /** Why it is refused, or holds a single user. */
  readonly problem?: string
  readonly subordinate: SubordinateIDs
  /** From here on nobody has subordinate ids. */
  readonly freeID: number
}

export function checkPrivileges(privileges: Privileges): readonly Finding[] {
  const { namespace } = privileges
  if (namespace === 'none')
    return [{ subject: 'user', state: 'good', found: 'root, who needs no user namespace' }]
  return [checkNamespace(privileges), ...(namespace === 'entered' ? [checkSubordinateIDs(privileges)] : [])]
}

function checkNamespace({ uid, namespace, problem = '' }: Privileges): Finding {
  const subject = 'user namespace'
  const who = uid === 0 ? 'root without CAP_SYS_ADMIN' : `user ${uid}`
  if (namespace === 'entered') return { subject, state: 'good', found: `${who} may have one` }
  return {
    subject,
    state: 'missing',
    found: `${who} may have none: ${problem}`,
    meaning: 'no RUN, or with --isolation=chroot where root has CAP_SYS_CHROOT; all other instructions work',
    remedy: namespaceRemedy(problem),
  }
}

/** By the switch of the kernel that the problem names. */
function namespaceRemedy(problem: string): string {
  if (problem.includes('unprivileged_userns_clone')) return 'sysctl -w kernel.unprivileged_userns_clone=1'
  if (problem.includes('max_user_namespaces')) return 'sysctl -w user.max_user_namespaces=15000'
  if (problem.includes('apparmor')) return 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'
  if (problem.includes('not installed') || problem.includes('not found')) return 'apt-get install util-linux'
  return 'in a container, allow it: --security-opt seccomp=unconfined (Kubernetes: hostUsers: false)'
}

/** Undefined where the user has no ids to hand out. */
function idsRemedy(problem: string): string | undefined {
  if (problem.includes('not installed')) return 'apt-get install uidmap'
  // Set-uid root it wants CAP_SYS_ADMIN, which root of a container has not.
  if (problem.includes('Operation not permitted'))
    return 'chmod u-s /usr/bin/new[ug]idmap; setcap cap_setuid=ep /usr/bin/newuidmap; setcap cap_setgid=ep /usr/bin/newgidmap'
  return undefined
}

/** Debian's own image gives 65,536 ids to each user; what packages make stays below. */
const WANTED_IDS = 65_535

function checkSubordinateIDs(privileges: Privileges): Finding {
  const { uid, problem, subordinate } = privileges
  const subject = 'subordinate ids'
  const counts = [subordinate.uids, subordinate.gids].map(ranges =>
    ranges.reduce((sum, { count }) => sum + count, 0),
  )
  const [uids = 0, gids = 0] = counts
  const line = remedyOfIDs(privileges)
  if (problem !== undefined)
    return {
      subject,
      state: 'limited',
      found: `none: ${problem}`,
      meaning: 'files of a step belong to one user: chown to another, and so much of apt-get, fails in a RUN',
      remedy: idsRemedy(problem) ?? line,
    }
  if (uid === 0) return { subject, state: 'good', found: 'those of this container' }
  const found = `${uids} users and ${gids} groups`
  if (Math.min(uids, gids) >= WANTED_IDS) return { subject, state: 'good', found }
  return {
    subject,
    state: 'limited',
    found,
    meaning: 'images with users of higher numbers cannot be unpacked for a RUN',
    remedy: line,
  }
}

/** Ids of two users must not overlap: each could become root over what steps of the other have written. */
function remedyOfIDs({ uid, userName, freeID }: Privileges): string {
  // `newuidmap` serves nobody without a name.
  if (userName === undefined) return `useradd --uid ${uid} NAME`
  const range = `${freeID}-${freeID + WANTED_IDS}`
  return `usermod --add-subuids ${range} --add-subgids ${range} ${userName}`
}
