import { constants } from 'node:os'
import { readSystemFile } from '../../linux/system-file.ts'

/** 128 and its number, as shells count a signal. */
const SIGNAL_BASE = 128

const KILLED = SIGNAL_BASE + constants.signals.SIGKILL

/** `exit code 2`; with the signal's name where one ended the process: `exit code 139 (SIGSEGV)`. */
export function describeExit(exitCode: number): string {
  const [signal] =
    Object.entries(constants.signals).find(([, number]) => SIGNAL_BASE + number === exitCode) ?? []
  return `exit code ${exitCode}${signal === undefined ? '' : ` (${signal})`}`
}

/**
 * What to look for, where the code tells more than that the command failed.
 * @param isOutOfMemory the kernel killed a process for want of memory while the step ran
 */
export function exitHint(exitCode: number, isOutOfMemory: boolean): string | undefined {
  if (isOutOfMemory && exitCode !== 0)
    return 'the kernel ended a process for want of memory while the step ran: it needs more than there is'
  if (exitCode === KILLED) return 'something killed it: it may have taken too much memory'
  if (exitCode === 127) return 'a command was not found: it is not in the image, or not on its PATH'
  if (exitCode === 126) return 'a file was found but cannot be executed: look at its mode, and its first line'
  return undefined
}

/** Processes that the kernel has ended for want of memory since the machine started, on the whole machine. */
export function outOfMemoryKills(): number {
  const [, count] = /^oom_kill (\d+)$/m.exec(readSystemFile('/proc/vmstat') ?? '') ?? []
  return Number(count ?? 0)
}
