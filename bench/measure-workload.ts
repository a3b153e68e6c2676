import { loadavg } from 'node:os'
import { run as execute } from '../test/e2e/support/process.ts'
import type { Bench } from './bench.ts'
import {
  type CaseResult,
  type ContenderResult,
  mediansOf,
  type Sample,
  type WorkloadResult,
} from './results.ts'
import { measure } from './usage.ts'
import { type Case, type Contender, type Metric, OURS, type Workload } from './workload.ts'

export interface HowToMeasure {
  readonly runs: number
  readonly scale: number
  readonly oursOnly: boolean
  /** The day, as in `2026-01-31`. */
  readonly day: string
  /** Is told what goes on. */
  say(line: string): void
}

/** Asks all contenders in turns: each once, then each again, so that what else the machine does meets all of them. */
export async function measureWorkload(
  workload: Workload,
  bench: Bench,
  how: HowToMeasure,
): Promise<WorkloadResult> {
  const { id, title, limit } = workload
  const load = loadavg()[0] ?? 0
  how.say(`${id} ${title}`)
  const cases: CaseResult[] = []
  for (const one of await workload.prepare(bench)) cases.push(await measureCase(one, how))
  return { id, title, limit, day: how.day, runs: how.runs, scale: how.scale, load, cases }
}

async function measureCase({ name, metrics, contenders }: Case, how: HowToMeasure): Promise<CaseResult> {
  const results = contenders
    .filter(contender => !how.oursOnly || contender.name === OURS)
    .map(contender => ({ contender, samples: [] as Sample[], missing: contender.missing }))
  for (let run = 0; run < how.runs; run++)
    for (const result of results) {
      if (result.missing !== undefined) continue
      try {
        const sample = await measureContender(result.contender, run)
        result.samples.push(sample)
        how.say(`  ${name}: ${result.contender.name}: ${describe(sample, metrics)}`)
      } catch (error) {
        result.missing = `failed in run ${run + 1}`
        how.say(`  ${name}: ${result.contender.name} failed: ${error instanceof Error ? error.stack : error}`)
      }
    }
  const measured = results.map(
    ({ contender, samples, missing }): ContenderResult => ({
      name: contender.name,
      samples,
      ...(missing === undefined ? {} : { missing }),
    }),
  )
  for (const { name: peer, missing } of measured)
    if (missing !== undefined) how.say(`  ${name}: without ${peer}: ${missing}`)
  return { name, contenders: measured, metrics: metrics.map(metric => judge(metric, measured)) }
}

async function measureContender(contender: Contender, run: number): Promise<Sample> {
  await contender.before?.(run)
  // What others wrote would be waited for by the next who asks for something to be on the disk.
  await execute('sync', [])
  const counts = contender.clientsAreFree !== true
  const daemons = contender.daemons?.() ?? []
  const { value, seconds, usage } = await measure(() => contender.run(run), daemons, counts)
  const { times = 1, ...told } = value ?? {}
  const cpuSeconds = usage.cpuSeconds / times
  const { peakBytes } = usage
  return { values: { seconds, cpuSeconds, peakMB: peakBytes / 1e6, ...told }, cpuSeconds, peakBytes }
}

function judge(
  { target, ...metric }: Metric,
  contenders: readonly ContenderResult[],
): CaseResult['metrics'][number] {
  if (target === undefined) return metric
  const isMet = target.isMet(mediansOf(contenders, metric.key))
  return { ...metric, target: { text: target.text, ...(isMet === undefined ? {} : { isMet }) } }
}

function describe({ values, cpuSeconds, peakBytes }: Sample, metrics: readonly Metric[]): string {
  const figures = metrics.map(({ key, unit }) => `${(values[key] ?? Number.NaN).toFixed(2)} ${unit}`)
  return `${figures.join(', ')}, ${cpuSeconds.toFixed(2)} CPU s, ${Math.round(peakBytes / 1e6)} MB`
}
