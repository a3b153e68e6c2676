/**
 * What work costs, read from /proc: seconds of processors, and the most memory at one time.
 *
 * Time of children counts once they have been waited for (`cutime`, `cstime` of this process), that of daemons through
 * the counters of their living processes, each of which takes over what its ended children used. Memory is the sum of
 * the resident sizes of all processes of the work at one moment, looked at every 50 ms, or what the largest of them had at
 * its peak, if that is more.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { isErrno } from '../src/oci/errors.ts'

export interface Usage {
  readonly cpuSeconds: number
  readonly peakBytes: number
}

export interface Measured<T> {
  readonly value: T
  readonly seconds: number
  readonly usage: Usage
}

const TICKS_PER_SECOND = 100
const SAMPLE_EVERY_MS = 50

/**
 * Measures what the daemons and the processes started meanwhile take.
 * @param daemons processes that count with all below them, from now on
 * @param countsChildren whether the processes that are started meanwhile count too
 */
export async function measure<T>(
  action: () => Promise<T>,
  daemons: readonly number[],
  countsChildren: boolean,
): Promise<Measured<T>> {
  const background = new Set(processTree([process.pid]).filter(pid => pid !== process.pid))
  const membersNow = (): number[] => [
    ...processTree(daemons),
    ...(countsChildren ? processTree([process.pid], background).filter(pid => pid !== process.pid) : []),
  ]
  let peakBytes = 0
  const look = (): void => {
    const sizes = membersNow().map(memoryOf)
    const together = sizes.reduce((sum, { resident }) => sum + resident, 0)
    peakBytes = Math.max(peakBytes, together, ...sizes.map(({ most }) => most))
  }
  const sampler = setInterval(look, SAMPLE_EVERY_MS)
  const before = { children: ticksOfChildren(), daemons: ticksOfTrees(daemons) }
  const started = performance.now()
  try {
    const value = await action()
    const seconds = (performance.now() - started) / 1000
    look()
    const ticks =
      ticksOfTrees(daemons) - before.daemons + (countsChildren ? ticksOfChildren() - before.children : 0)
    return { value, seconds, usage: { cpuSeconds: Math.max(ticks, 0) / TICKS_PER_SECOND, peakBytes } }
  } finally {
    clearInterval(sampler)
  }
}

/** The roots and everything below them, without the subtrees of others. */
function processTree(roots: readonly number[], without: ReadonlySet<number> = new Set()): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const parent = Number.isInteger(pid) ? fieldsOf(pid)?.[PARENT] : undefined
    if (parent === undefined) continue
    const siblings = children.get(Number(parent)) ?? []
    siblings.push(pid)
    children.set(Number(parent), siblings)
  }
  const found = [...roots]
  for (const pid of found) found.push(...(children.get(pid) ?? []).filter(child => !without.has(child)))
  return found
}

// Of /proc/PID/stat, counted after the name of the program, which may hold spaces (proc(5)).
const PARENT = 1
const OWN_TIMES = [11, 12] as const
const TIMES_OF_CHILDREN = [13, 14] as const

function ticksOfTrees(roots: readonly number[]): number {
  const times = [...OWN_TIMES, ...TIMES_OF_CHILDREN]
  return processTree(roots)
    .map(pid => sumOf(fieldsOf(pid), times))
    .reduce((sum, ticks) => sum + ticks, 0)
}

function ticksOfChildren(): number {
  return sumOf(fieldsOf(process.pid), TIMES_OF_CHILDREN)
}

function sumOf(fields: readonly string[] | undefined, positions: readonly number[]): number {
  return positions.reduce((sum, position) => sum + Number(fields?.[position] ?? 0), 0)
}

function fieldsOf(pid: number): readonly string[] | undefined {
  const text = readProcess(pid, 'stat')
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

function memoryOf(pid: number): { readonly resident: number; readonly most: number } {
  const status = readProcess(pid, 'status') ?? ''
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024
  return { resident: bytesOf('VmRSS'), most: bytesOf('VmHWM') }
}

/** @returns undefined for a process that has ended */
function readProcess(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return undefined
    throw error
  }
}
