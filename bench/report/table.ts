import type { Machine } from '../machine.ts'
import {
  type CaseResult,
  type ContenderResult,
  type MetricResult,
  oursOf,
  peakMemory,
  type Results,
  ratioTo,
  spreadOf,
  valuesOf,
  type WorkloadResult,
} from '../results.ts'
import { OURS } from '../workload.ts'
import { formatNumber } from './numbers.ts'

/** The results as a page of Markdown: what was measured where, then a line for each question. */
export function formatTable({ machine, workloads }: Results): string {
  const lines = workloads.flatMap(workload =>
    workload.cases.flatMap(one => one.metrics.map(metric => lineOf(workload, one, metric))),
  )
  return `# Latest results

${machineLines(machine).join('\n')}

Medians; in brackets the least and the most of the runs. A ratio above 1x says that ours is ahead. CPU and memory are those of the
whole process tree, daemons included, in the order of the contenders.

![Ratios](latest.svg)

| # | workload | ${OURS} | others, and ratio | CPU s | memory MB | to reach | reached |
|---|---|---|---|---|---|---|---|
${lines.join('\n')}

${memoryLines(workloads).join('\n')}

${workloads.map(({ id, runs, scale, load, day }) => `${id}: ${runs} runs at ${scale}x of the full size, load ${formatNumber(load)}, ${day}`).join('; ')}.
`
}

function machineLines(machine: Machine): string[] {
  const sha = machine.hasSHA ? 'with' : 'without'
  return [
    `${machine.cores} cores (${machine.processor}, ${sha} SHA instructions), ${machine.memoryGB} GB, Linux ${machine.linux}, Node.js ${machine.node}.`,
    '',
    ...Object.entries(machine.peers).map(([name, version]) => `- ${name}: ${version}`),
  ]
}

/** M asks it of every row. */
const MOST_MEMORY = [
  { prefix: 'B', what: 'a build, with the programs of its steps', limitMB: 200 },
  { prefix: 'R', what: 'a server', limitMB: 150 },
] as const

function memoryLines(workloads: readonly WorkloadResult[]): string[] {
  return MOST_MEMORY.flatMap(({ prefix, what, limitMB }) => {
    const most = peakMemory(workloads, prefix)
    if (most === undefined) return []
    const row = `${most.id}, ${most.name}`
    return [
      `- most memory of ${what}: ${formatNumber(most.peakMB)} MB (${row}); at most ${limitMB} MB to reach`,
    ]
  })
}

function lineOf(workload: WorkloadResult, one: CaseResult, metric: MetricResult): string {
  const ours = oursOf(one)
  const peers = one.contenders.filter(contender => contender !== ours)
  const there = one.contenders.filter(({ samples }) => samples.length > 0)
  const cells = [
    workload.id,
    [one.name, metric.label].filter(part => part !== undefined).join(', '),
    ours === undefined ? '-' : figure(ours, metric),
    peers.map(peer => `${peer.name} ${figure(peer, metric)}${ratio(peer, ours, metric)}`).join('<br>') || '-',
    there.map(({ samples }) => middle(samples.map(({ cpuSeconds }) => cpuSeconds))).join(' / '),
    there.map(({ samples }) => middle(samples.map(({ peakBytes }) => peakBytes / 1e6))).join(' / '),
    metric.target?.text ?? '-',
    reached(metric),
  ]
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function figure(contender: ContenderResult, metric: MetricResult): string {
  const spread = spreadOf(valuesOf(contender, metric.key))
  if (spread === undefined) return `(${contender.missing ?? 'no figure'})`
  const range =
    spread.least === spread.most ? '' : ` (${formatNumber(spread.least)}–${formatNumber(spread.most)})`
  return `**${formatNumber(spread.median)}** ${metric.unit}${range}`
}

function ratio(peer: ContenderResult, ours: ContenderResult | undefined, metric: MetricResult): string {
  const spread = ours && ratioTo(peer, ours, metric)
  if (spread === undefined) return ''
  const range =
    spread.least === spread.most ? '' : ` (${formatNumber(spread.least)}–${formatNumber(spread.most)})`
  return `: **${formatNumber(spread.median)}x**${range}`
}

function middle(numbers: readonly number[]): string {
  return formatNumber(spreadOf(numbers)?.median ?? 0)
}

function reached({ target }: MetricResult): string {
  if (target === undefined) return '-'
  if (target.isMet === undefined) return 'not measured'
  return target.isMet ? 'yes' : '**no**'
}
