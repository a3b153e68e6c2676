/** What of this machine, and of what we may do on it, the walls of a container depend on. */
import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs'
import { arch } from 'node:os'
import { type IDMaps, ownIDMaps } from '../../linux/id-map.ts'
import { isErrno } from '../../oci/errors.ts'
import { ownCapabilities } from './capabilities.ts'

export interface Host {
  /** As `os.arch()` names it. */
  readonly machine: string
  /** Those that this process has: what a privileged step gets. */
  readonly capabilities: readonly string[]
  /** How gladly the kernel ends this process for want of memory, from -1000 (never) to 1000. */
  readonly outOfMemoryScore: number
  /** One hierarchy of control groups (version 2) at its usual place. */
  readonly hasUnifiedCgroups: boolean
  /** Where the kernel tells how hot each processor has been: who may read it hears what others compute. */
  readonly thermalPaths: readonly string[]
  /**
   * In a container that covers parts of /proc the kernel lets no user namespace mount another, which would uncover them
   * (`mount_namespaces(7)`).
   */
  readonly isProcCovered: boolean
  /** The ids that there are, in a user namespace. */
  readonly idMaps?: IDMaps
}

export function readHost(): Host {
  const idMaps = ownIDMaps()
  return {
    machine: arch(),
    capabilities: ownCapabilities(),
    outOfMemoryScore: Number(readFileSync('/proc/self/oom_score_adj', 'latin1')),
    hasUnifiedCgroups: hasUnifiedCgroups(),
    thermalPaths: thermalPaths(),
    isProcCovered: isProcCovered(readFileSync('/proc/self/mountinfo', 'latin1')),
    ...(idMaps !== undefined && { idMaps }),
  }
}

const CGROUP2_MAGIC = 0x63677270

function hasUnifiedCgroups(): boolean {
  try {
    return statfsSync('/sys/fs/cgroup').type === CGROUP2_MAGIC
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return false
    throw error
  }
}

/** A mount on a directory that can hold nothing hides nothing. */
const EMPTY_FOREVER = '/proc/sys/fs/binfmt_misc'

/** @param mountinfo as `proc(5)` has it */
export function isProcCovered(mountinfo: string): boolean {
  return mountinfo.split('\n').some(line => {
    const [, , , , point = ''] = line.split(' ')
    return point.startsWith('/proc/') && point !== EMPTY_FOREVER
  })
}

const PROCESSORS = '/sys/devices/system/cpu'

function thermalPaths(): readonly string[] {
  try {
    return readdirSync(PROCESSORS)
      .filter(name => /^cpu\d+$/.test(name))
      .map(name => `${PROCESSORS}/${name}/thermal_throttle`)
      .filter(path => existsSync(path))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES')) return []
    throw error
  }
}
