import { readFileSync, readlinkSync } from 'node:fs'
import { isErrno } from '../oci/errors.ts'

/**
 * Names one process of this machine for as long as anyone may ask: a process ID alone is used again, and means
 * something else after a reboot or in another container. Written `boot/namespace/pid/start time`.
 */
export type ProcessIdentity = string & { readonly processIdentity: true }

export function ownProcessIdentity(): ProcessIdentity {
  const stat = readProcessStat('self')
  if (stat === undefined) throw new Error('a running process finds itself in /proc')
  return [bootID(), ownNamespace(), stat.pid, stat.startTime].join('/') as ProcessIdentity
}

/** Changes with every start of the machine. */
export function bootID(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

/**
 * False once the process has ended. A process in another PID namespace (a container that shares the store) cannot
 * be seen from here and counts as alive.
 */
export function isProcessAlive(identity: string): boolean {
  const [boot, namespace, pid = '', startTime] = identity.split('/')
  if (boot !== bootID()) return false
  if (namespace !== ownNamespace()) return true
  return readProcessStat(pid)?.startTime === startTime
}

function ownNamespace(): string {
  return readlinkSync('/proc/self/ns/pid')
}

interface ProcessStat {
  readonly pid: string
  /** In clock ticks since the boot. */
  readonly startTime: string
}

/** Undefined when there is no such process, or only its exit status, which its parent has not asked for yet. */
function readProcessStat(pid: string): ProcessStat | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
  // The second field is the command's name in parentheses, and may hold spaces and parentheses itself (proc(5)).
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state] = afterName
  if (state === 'Z' || state === 'X') return undefined
  const startTime = afterName[19]
  const [ownPID] = stat.split(' ', 1)
  return ownPID === undefined || startTime === undefined ? undefined : { pid: ownPID, startTime }
}
