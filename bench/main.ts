/**
 * `npm run bench`: what building and serving costs with us and with others. See docs/performance.md, and `--help`.
 *
 * It installs nothing: who is not there is told on stderr and in the table. All that it makes lies in one folder below the
 * temporary one, which is removed.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type BenchOptions, createBench, QUICK_SCALE } from './bench.ts'
import { describeMachine } from './machine.ts'
import { measureWorkload } from './measure-workload.ts'
import { formatPlot } from './report/plot.ts'
import { formatTable } from './report/table.ts'
import { mergeResults, oursOf, type Results, type WorkloadResult } from './results.ts'
import { WORKLOADS } from './workloads/all.ts'

const HELP = `Usage: npm run bench -- [OPTIONS]

Measures each workload with slipway and with whoever else is installed, in turns.

Options:
  --only B1,B5       Only these workloads; the table keeps what it says of the others
  --runs N           How often each is asked (default 5)
  --scale N          Of the full sizes, such as 0.25 (default 1)
  --quick            Tiny sizes, one run: proves that every workload works
  --against A,B      Only these others, such as docker,nginx; 'none' for none
  --out DIR          Where latest.md, latest.svg and latest.json go (default bench/results)
  --cpu-prof DIR     Profiles of ours there; nobody else is asked, and no result is written
  --strace DIR       Counts of our system calls there, likewise
  --list             The workloads
`

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    runs: { type: 'string' },
    scale: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    against: { type: 'string' },
    out: { type: 'string', default: join(import.meta.dirname, 'results') },
    'cpu-prof': { type: 'string' },
    strace: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (flags.help) process.stdout.write(HELP)
else if (flags.list) for (const { id, title } of WORKLOADS) process.stdout.write(`${id}\t${title}\n`)
else await main()

async function main(): Promise<void> {
  const isProfile = flags['cpu-prof'] !== undefined || flags.strace !== undefined
  const options = optionsOf(isProfile)
  const how = {
    runs: Number(flags.runs ?? (flags.quick || isProfile ? 1 : 5)),
    scale: options.quick ? QUICK_SCALE : options.scale,
    oursOnly: isProfile,
    day: new Date().toISOString().slice(0, 10),
    say: (line: string) => void process.stderr.write(`${line}\n`),
  }
  await using bench = createBench(options)
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      void Promise.resolve(bench[Symbol.asyncDispose]()).finally(() => process.exit(130))
    })
  const measured: WorkloadResult[] = []
  for (const workload of chosen()) {
    measured.push(await measureWorkload(workload, bench, how))
    // What has been measured stays, however the rest ends.
    if (!isProfile) write({ machine: await describeMachine(bench), workloads: measured })
  }
  process.stdout.write(formatTable({ machine: await describeMachine(bench), workloads: measured }))
  if (measured.some(hasNoFigure)) process.exitCode = 1
}

function optionsOf(isProfile: boolean): BenchOptions {
  const folder = (path: string | undefined): string | undefined => {
    if (path !== undefined) mkdirSync(path, { recursive: true })
    return path === undefined ? undefined : resolve(path)
  }
  return {
    scale: Number(flags.scale),
    quick: flags.quick,
    against: isProfile ? [] : flags.against?.split(','),
    cpuProfiles: folder(flags['cpu-prof']),
    systemCalls: folder(flags.strace),
  }
}

function chosen(): typeof WORKLOADS {
  const only = flags.only?.toUpperCase().split(',')
  const unknown = only?.filter(id => !WORKLOADS.some(workload => workload.id === id)) ?? []
  if (unknown.length > 0) throw new Error(`Unknown workloads: ${unknown.join(', ')} (see --list)`)
  return WORKLOADS.filter(({ id }) => only?.includes(id) ?? true)
}

function write(newer: Results): void {
  const at = (name: string): string => join(flags.out, name)
  mkdirSync(flags.out, { recursive: true })
  const older = existsSync(at('latest.json'))
    ? (JSON.parse(readFileSync(at('latest.json'), 'utf8')) as Results)
    : undefined
  const order = WORKLOADS.map(({ id }) => id)
  const results = mergeResults(older, newer, order)
  writeFileSync(at('latest.json'), `${JSON.stringify(results, undefined, 1)}\n`)
  writeFileSync(at('latest.md'), formatTable(results))
  writeFileSync(at('latest.svg'), formatPlot(results))
}

/** Of ours; that others are missing is no failure. */
function hasNoFigure({ cases }: WorkloadResult): boolean {
  return cases.some(one => oursOf(one)?.samples.length === 0)
}
