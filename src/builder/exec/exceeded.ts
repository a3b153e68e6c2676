import { constants } from 'node:os'
import type { StepUsage } from './control-group.ts'
import { type ContainerLimits, DEFAULT_PIDS } from './limits.ts'

const SIGNAL_BASE = 128
const KILLED = SIGNAL_BASE + constants.signals.SIGKILL
const FILE_TOO_LARGE = SIGNAL_BASE + constants.signals.SIGXFSZ
const NO_CPU_TIME = SIGNAL_BASE + constants.signals.SIGXCPU

/** What a control group counts late, per processor. */
const MEMORY_SLACK = 4 * 1024 * 1024

/** The limit counts the time of a process by ticks, the group by what it was. */
const CPU_SLACK = 0.8

/**
 * The limit that a step ran into, as one says why it failed: `it needs more memory than --memory 64m`. Undefined where
 * none explains it. A shell that goes on after one of its children was ended has an exit code of its own.
 * @param exitCode not 0
 * @param output the last lines that it printed: the first process of a container gets no signal for a file too large
 */
export function exceededLimit(
  exitCode: number,
  { memory, pids = DEFAULT_PIDS, ulimits }: ContainerLimits,
  usage: StepUsage | undefined,
  output: readonly string[],
): string | undefined {
  const limit = (name: string) => ulimits.find(ulimit => ulimit.name === name)?.soft
  const memoryLimit = memory?.limit
  if (
    memoryLimit !== undefined &&
    (usage?.outOfMemoryKills ?? 0) > 0 &&
    (usage?.peakMemory ?? memoryLimit) >= memoryLimit - MEMORY_SLACK
  )
    return `out of memory, of which --memory allows ${formatSize(memoryLimit)}`
  if (pids > 0 && (usage?.peakPids ?? 0) >= pids)
    return `out of processes, of which --pids-limit allows ${pids}`
  const fileSize = limit('fsize')
  const isTooLarge = exitCode === FILE_TOO_LARGE || output.some(line => /file too large/i.test(line))
  if (fileSize !== undefined && isTooLarge)
    return `a file became larger than the ${formatSize(fileSize)} that --ulimit fsize allows`
  const cpuTime = limit('cpu')
  const tookAll = exitCode === KILLED && (usage?.cpuSeconds ?? 0) >= (cpuTime ?? Infinity) * CPU_SLACK
  if (cpuTime !== undefined && (exitCode === NO_CPU_TIME || tookAll))
    return `a process took more time of the processor than the ${cpuTime} s that --ulimit cpu allows`
  return undefined
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `64 MiB`, as options count them. */
export function formatSize(bytes: number): string {
  let [amount, unit] = [bytes, 0]
  for (; amount >= 1024 && unit < UNITS.length - 1; unit++) amount /= 1024
  return `${Number(amount.toFixed(1))} ${UNITS[unit]}`
}
