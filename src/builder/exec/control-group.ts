/**
 * A control group of a step's own, above the one that the runtime makes and takes away: it tells afterwards what the
 * step took.
 *
 * ```
 * <parent>/<id>           ours
 *              /step      the runtime's, with the limits
 * ```
 *
 * Version 2 counts in ours whatever happens below. Version 1 does so only for sizes: a kill for want of memory is one
 * that the whole machine has counted while the step was at its limit.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { readSystemFile } from '../../linux/system-file.ts'
import { isErrno } from '../../oci/errors.ts'
import { parseJson } from '../../oci/json.ts'
import { readIfThere } from '../snapshot/read-if-there.ts'
import { outOfMemoryKills } from './exit-code.ts'
import { handDownControllers, ownGroup } from './hand-down.ts'

export interface ControlGroup {
  /** For the runtime: absolute in every hierarchy. */
  readonly path: string
  /** What can be limited in it, of `cpu`, `memory` and `pids`. */
  readonly controllers: readonly string[]
  /** What is known of the step when all of its processes are gone. */
  usage(): StepUsage
}

/** What a step has taken; absent is what this machine does not tell. */
export interface StepUsage {
  /** Processes that the kernel ended for want of memory. Version 1: on the whole machine. */
  readonly outOfMemoryKills: number
  /** In bytes. */
  readonly peakMemory?: number
  /** Processes and threads at one time. */
  readonly peakPids?: number
  /** Of processors. */
  readonly cpuSeconds?: number
}

/** Where a controller is mounted, and as what version. */
export interface Hierarchy {
  readonly version: 1 | 2
  readonly mountPoint: string
}

const CONTROLLERS = ['memory', 'pids', 'cpuacct'] as const

/**
 * Where groups of steps are made unless the user says where: root owns all groups, others at most that in which they are.
 */
export function defaultGroupParent(isRealRoot: boolean): string {
  return isRealRoot ? '/slipway' : `${ownGroup()}/slipway`
}

/**
 * Undefined where no control group may be made: by who is not root, in a container that has them read-only.
 * @param note path of a file for `removeControlGroup`, written before anything is made
 */
export function openControlGroup(parent: string, id: string, note: string): ControlGroup | undefined {
  const mounts = readFileSync('/proc/self/mounts', 'latin1')
  const hierarchies = findHierarchies(mounts)
  const path = `${parent}/${id}`
  const directories = [...new Set([...hierarchies.values()].map(({ mountPoint }) => `${mountPoint}${path}`))]
  // The runtime makes its own in every hierarchy, and ours above it.
  writeFileSync(note, JSON.stringify(mountPointsOf(mounts).map(mountPoint => `${mountPoint}${path}`)))
  try {
    for (const directory of directories) mkdirSync(directory, { recursive: true })
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOSPC')) return undefined
    throw error
  }
  if (directories.length === 0) return undefined
  const controllers = controllersOf(hierarchies, path)
  const killsBefore = outOfMemoryKills()
  return {
    path: `${path}/step`,
    controllers,
    usage: () => readUsage(hierarchies, path, outOfMemoryKills() - killsBefore),
  }
}

/** The processor is found by its counter, which is mounted with it or beside it. */
function controllersOf(hierarchies: ReadonlyMap<string, Hierarchy>, path: string): readonly string[] {
  const unified = [...hierarchies.values()].find(({ version }) => version === 2)
  if (unified !== undefined) return handDownControllers(unified.mountPoint, path)
  return [...hierarchies.keys()].map(name => (name === 'cpuacct' ? 'cpu' : name))
}

const REMOVAL_TRIES = 50
const REMOVAL_PAUSE_MS = 10

/** Removes the groups of a step whose processes are gone; none there is success. @param note see `openControlGroup` */
export async function removeControlGroup(note: string): Promise<void> {
  for (const directory of readNote(note)) {
    // A process that was killed leaves its group a little later.
    for (let tries = 0; tries < REMOVAL_TRIES && !isRemoved(directory); tries++) await delay(REMOVAL_PAUSE_MS)
  }
}

function readNote(note: string): readonly string[] {
  // Less than a list: who made the file was killed before all was written, so before a group was made.
  const directories = parseJson(Buffer.from(readIfThere(note) ?? ''))
  return Array.isArray(directories) ? directories.filter(item => typeof item === 'string') : []
}

function isRemoved(directory: string): boolean {
  try {
    for (const path of [`${directory}/step`, directory]) removeIfThere(path)
    return true
  } catch (error) {
    if (isErrno(error, 'EBUSY')) return false
    // They became read-only, or another's.
    if (isErrno(error, 'EROFS', 'EACCES', 'EPERM')) return true
    throw error
  }
}

function removeIfThere(directory: string): void {
  try {
    rmdirSync(directory)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

/** Of every hierarchy. @param mounts as `/proc/mounts` has them */
export function mountPointsOf(mounts: string): readonly string[] {
  return mounts
    .split('\n')
    .map(line => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, mountPoint = '']) => mountPoint)
}

/** By controller. @param mounts as `/proc/mounts` has them */
export function findHierarchies(mounts: string): ReadonlyMap<string, Hierarchy> {
  const found = new Map<string, Hierarchy>()
  for (const line of mounts.split('\n')) {
    const [, mountPoint = '', type, options = ''] = line.split(' ')
    if (type !== 'cgroup') continue
    const names = options.split(',')
    for (const controller of CONTROLLERS)
      if (names.includes(controller)) found.set(controller, { version: 1, mountPoint })
  }
  if (found.size > 0) return found
  const unified = mounts.split('\n').find(line => line.split(' ')[2] === 'cgroup2')
  const mountPoint = unified?.split(' ')[1]
  if (mountPoint !== undefined)
    for (const controller of CONTROLLERS) found.set(controller, { version: 2, mountPoint })
  return found
}

/** @param path of the group @param kills on the whole machine */
export function readUsage(
  hierarchies: ReadonlyMap<string, Hierarchy>,
  path: string,
  kills: number,
): StepUsage {
  const read = (controller: string, files: Readonly<Record<1 | 2, string>>): string | undefined => {
    const hierarchy = hierarchies.get(controller)
    if (hierarchy === undefined) return undefined
    return readSystemFile(`${hierarchy.mountPoint}${path}/${files[hierarchy.version]}`)
  }
  const number = (text: string | undefined, pattern = /^(\d+)$/m): number | undefined => {
    const digits = pattern.exec(text ?? '')?.[1]
    return digits === undefined ? undefined : Number(digits)
  }
  const own =
    hierarchies.get('memory')?.version === 2
      ? number(read('memory', { 1: '', 2: 'memory.events' }), /^oom_kill (\d+)$/m)
      : undefined
  const peakMemory = number(read('memory', { 1: 'memory.max_usage_in_bytes', 2: 'memory.peak' }))
  const peakPids = number(read('pids', { 1: 'pids.peak', 2: 'pids.peak' }))
  const nanoseconds = number(read('cpuacct', { 1: 'cpuacct.usage', 2: '' }))
  const microseconds = number(read('cpuacct', { 1: '', 2: 'cpu.stat' }), /^usage_usec (\d+)$/m)
  const cpuSeconds = nanoseconds !== undefined ? nanoseconds / 1e9 : (microseconds ?? Number.NaN) / 1e6
  return {
    outOfMemoryKills: own ?? kills,
    ...(peakMemory !== undefined && { peakMemory }),
    ...(peakPids !== undefined && { peakPids }),
    ...(!Number.isNaN(cpuSeconds) && { cpuSeconds }),
  }
}
