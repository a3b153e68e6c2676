import type { Machine } from './machine.ts'
import { type Medians, type Metric, OURS } from './workload.ts'

/** What `latest.json` holds. A workload that was not asked for keeps what an earlier run said of it. */
export interface Results {
  readonly machine: Machine
  readonly workloads: readonly WorkloadResult[]
}

export interface WorkloadResult {
  readonly id: string
  readonly title: string
  readonly limit: string
  /** The day, as in `2026-01-31`. */
  readonly day: string
  readonly runs: number
  readonly scale: number
  /** Of the machine, at the start: how many processes wanted a processor in the last minute. */
  readonly load: number
  readonly cases: readonly CaseResult[]
}

export interface CaseResult {
  readonly name: string
  readonly metrics: readonly MetricResult[]
  readonly contenders: readonly ContenderResult[]
}

export type MetricResult = Omit<Metric, 'target'> & {
  readonly target?: { readonly text: string; readonly isMet?: boolean }
}

export interface ContenderResult {
  readonly name: string
  /** Why there are no samples, or fewer than runs. */
  readonly missing?: string
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly values: Readonly<Record<string, number>>
  readonly cpuSeconds: number
  readonly peakBytes: number
}

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

/** @returns undefined for no numbers */
export function spreadOf(numbers: readonly number[]): Spread | undefined {
  const sorted = numbers.toSorted((a, b) => a - b)
  const least = sorted[0]
  const most = sorted.at(-1)
  if (least === undefined || most === undefined) return undefined
  const upper = sorted[Math.floor(sorted.length / 2)] ?? most
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? least
  return { median: (upper + lower) / 2, least, most }
}

export function valuesOf({ samples }: ContenderResult, key: string): readonly number[] {
  return samples.map(({ values }) => values[key]).filter(value => value !== undefined)
}

/**
 * How many times as good as a peer ours is: above 1 ours is ahead. The median of the one against that of the other, and
 * the extremes of the runs, of which each is compared with its neighbour.
 */
export function ratioTo(
  peer: ContenderResult,
  ours: ContenderResult,
  metric: MetricResult,
): Spread | undefined {
  const ratio = (our: number, their: number): number => (metric.better === 'less' ? their / our : our / their)
  const own = valuesOf(ours, metric.key)
  const theirs = valuesOf(peer, metric.key)
  const median = [spreadOf(own)?.median, spreadOf(theirs)?.median] as const
  const ofRuns = spreadOf(theirs.flatMap((their, run) => (own[run] ? [ratio(own[run], their)] : [])))
  if (median[0] === undefined || median[1] === undefined || ofRuns === undefined) return undefined
  return { ...ofRuns, median: ratio(median[0], median[1]) }
}

/** The most memory that ours took in a row whose name starts so, as the median of its runs; undefined without figures. */
export function peakMemory(
  workloads: readonly WorkloadResult[],
  prefix: string,
): { readonly id: string; readonly name: string; readonly peakMB: number } | undefined {
  const rows = workloads
    .filter(({ id }) => id.startsWith(prefix))
    .flatMap(({ id, cases }) =>
      cases.map(one => {
        const peaks = oursOf(one)?.samples.map(({ peakBytes }) => peakBytes / 1e6) ?? []
        return { id, name: one.name, peakMB: spreadOf(peaks)?.median ?? Number.NaN }
      }),
    )
  return rows.filter(({ peakMB }) => !Number.isNaN(peakMB)).sort((a, b) => b.peakMB - a.peakMB)[0]
}

export function oursOf({ contenders }: CaseResult): ContenderResult | undefined {
  return contenders.find(({ name }) => name === OURS)
}

export function mediansOf(contenders: readonly ContenderResult[], key: string): Medians {
  return name => {
    const contender = contenders.find(one => one.name === name)
    return contender === undefined ? undefined : spreadOf(valuesOf(contender, key))?.median
  }
}

/** The newer results in place of the older ones, in the given order of workloads. */
export function mergeResults(older: Results | undefined, newer: Results, order: readonly string[]): Results {
  const all = new Map([...(older?.workloads ?? []), ...newer.workloads].map(one => [one.id, one]))
  const peers = { ...older?.machine.peers, ...newer.machine.peers }
  return {
    machine: { ...newer.machine, peers },
    workloads: order.map(id => all.get(id)).filter(one => one !== undefined),
  }
}
