import type { Bench } from './bench.ts'

/** One row of issue and table: a file of `workloads/`. */
export interface Workload {
  /** `B5` */
  readonly id: string
  readonly title: string
  /** What no program can be faster than, in a few words. */
  readonly limit: string
  /** Makes data and starts servers, all of which end with the bench. */
  prepare(bench: Bench): Promise<readonly Case[]>
}

/** The same question to several contenders, who are asked in turns. */
export interface Case {
  readonly name: string
  /** Every metric is a line of the table for each peer. */
  readonly metrics: readonly Metric[]
  /** The first is the one that the others are compared with. */
  readonly contenders: readonly Contender[]
}

export interface Metric {
  /** `seconds`, `cpuSeconds` or `peakMB`, which are always measured; or the name of what the contender tells. */
  readonly key: string
  /** After the case's name, where a case has several metrics. */
  readonly label?: string
  readonly unit: 's' | 'ms' | 'req/s' | 'MB/s' | 'MB'
  readonly better: 'less' | 'more'
  readonly target?: Target
}

export interface Target {
  readonly text: string
  /** @returns undefined when a contender that it is held against was missing */
  isMet(medians: Medians): boolean | undefined
}

/** Median of a contender by name; undefined when it did not run. */
export type Medians = (contender: string) => number | undefined

export interface Contender {
  readonly name: string
  /** Why it does not run here. */
  readonly missing?: string
  /** Processes that work for it and were there before; their time and memory counts. Those that `run` starts always count. */
  daemons?(): readonly number[]
  /** Its own children are clients of a server that is measured, and are not counted. */
  readonly clientsAreFree?: boolean
  /** Brings everything into the state that the run shall find; not measured. */
  before?(run: number): Promise<void>
  /** @returns what it measured itself, by key; `times` when it did it more than once */
  run(run: number): Promise<Readonly<Record<string, number>> | undefined>
}

export const OURS = 'slipway'

/** Ours is at least so many times as good as each of these contenders that ran. */
export function timesBetter(
  times: number,
  peers: readonly string[],
  better: Metric['better'],
  text: string,
): Target {
  return {
    text,
    isMet(medians) {
      const ours = medians(OURS)
      const theirs = peers.map(medians).filter(median => median !== undefined)
      if (ours === undefined || theirs.length === 0) return undefined
      return theirs.every(median => (better === 'less' ? median / ours : ours / median) >= times)
    },
  }
}
