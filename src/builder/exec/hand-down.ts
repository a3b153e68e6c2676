/**
 * Control groups of version 2: a controller works in a group only when each group above hands it down, and a group that
 * holds processes hands nothing down ("no internal process constraint" of the kernel's cgroup-v2.rst), but for the root
 * of the machine. Where it is our own that has to, as for a user whom systemd has given it, or in a container, all that
 * is in it moves into a group below.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { readSystemFile } from '../../linux/system-file.ts'
import { isErrno } from '../../oci/errors.ts'

/** Those that limits are kept by. */
const WANTED = ['cpu', 'cpuset', 'memory', 'pids']

const OWN_PROCESSES = 'slipway-processes'

/** The group that we were started in: a path in the hierarchy of version 2, `` for its root. */
export function ownGroup(): string {
  return groupOf(readSystemFile('/proc/self/cgroup') ?? '')
}

/** @param text as `/proc/PID/cgroup` has it; the group below into which we have moved does not count */
export function groupOf(text: string): string {
  const [, path = '/'] = /^0::(.*)$/m.exec(text) ?? []
  const start = path.endsWith(`/${OWN_PROCESSES}`) ? path.slice(0, -OWN_PROCESSES.length - 1) : path
  return start === '/' ? '' : start
}

/**
 * Has every group from the root to `path` hand down what it may.
 * @param path of a group that is there, absolute in the hierarchy
 * @returns the controllers that groups below `path` have
 */
export function handDownControllers(mountPoint: string, path: string): readonly string[] {
  const own = ownGroup()
  const names = path.split('/').filter(name => name !== '')
  for (let depth = 0; depth <= names.length; depth++) {
    const group = names
      .slice(0, depth)
      .map(name => `/${name}`)
      .join('')
    const directory = `${mountPoint}${group}`
    for (const controller of WANTED) {
      if (handDown(directory, controller) || group !== own) continue
      moveProcesses(directory)
      handDown(directory, controller)
    }
  }
  return controllersIn(`${mountPoint}${path}/cgroup.subtree_control`)
}

/** False when processes are in the way. A controller that is not there, or not for us to hand down, is left alone. */
function handDown(directory: string, controller: string): boolean {
  if (!controllersIn(`${directory}/cgroup.controllers`).includes(controller)) return true
  try {
    writeFileSync(`${directory}/cgroup.subtree_control`, `+${controller}`)
    return true
  } catch (error) {
    if (isErrno(error, 'EBUSY')) return false
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EINVAL', 'ENOTSUP')) return true
    throw error
  }
}

function moveProcesses(directory: string): void {
  const target = `${directory}/${OWN_PROCESSES}`
  try {
    mkdirSync(target, { recursive: true })
    for (const pid of readFileSync(`${directory}/cgroup.procs`, 'latin1').trim().split('\n'))
      moveProcess(pid, `${target}/cgroup.procs`)
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT')) throw error
  }
}

/** One that has ended meanwhile needs not to be moved, nor one that we do not see. */
function moveProcess(pid: string, target: string): void {
  try {
    if (pid !== '' && pid !== '0') writeFileSync(target, pid)
  } catch (error) {
    if (!isErrno(error, 'ESRCH', 'EINVAL')) throw error
  }
}

function controllersIn(file: string): readonly string[] {
  return (readSystemFile(file) ?? '').split(/\s/).filter(name => name !== '')
}
