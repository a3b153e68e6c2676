import { oursOf, type Results, ratioTo, type Spread } from '../results.ts'
import { formatNumber } from './numbers.ts'

/** A bar from 1x to the ratio for each peer in each question, on a logarithmic scale; readable on light and dark pages. */
export function formatPlot(results: Results): string {
  const groups = groupsOf(results)
  const bars = groups.flatMap(({ bars }) => bars)
  const names = [...new Set(bars.map(({ name }) => name))]
  const colour = (name: string): string => `c${names.indexOf(name) % COLOURS.length}`
  const least = Math.min(0.5, ...bars.map(({ ratio }) => ratio.median))
  const most = Math.max(2, ...bars.map(({ ratio }) => ratio.median))
  const x = (ratio: number): number =>
    LEFT + ((Math.log(ratio) - Math.log(least)) / (Math.log(most) - Math.log(least))) * (RIGHT - LEFT)

  const parts: string[] = []
  let y = TOP
  for (const group of groups) {
    const height = group.bars.length * BAR
    parts.push(text(LEFT - 110, y + height / 2 + 4, group.title, 'end'))
    for (const [index, { name, ratio }] of group.bars.entries()) {
      const [from, to] = [x(Math.min(1, ratio.median)), x(Math.max(1, ratio.median))]
      const middle = y + index * BAR + BAR / 2
      const [low, high] = [x(Math.max(least, ratio.least)), x(Math.min(most, ratio.most))].map(round)
      parts.push(
        text(LEFT - 8, middle + 4, name, 'end', 'small'),
        `<rect class="${colour(name)}" x="${round(from)}" y="${middle - 5}" width="${round(Math.max(1, to - from))}" height="10"/>`,
        `<path class="range" d="M${low} ${middle}H${high}"/>`,
        text(RIGHT + 60, middle + 4, `${formatNumber(ratio.median)}x`, 'end', 'small'),
      )
    }
    y += height + GAP
  }
  const grid = GRID.filter(ratio => ratio >= least && ratio <= most).flatMap(ratio => [
    `<path class="${ratio === 1 ? 'one' : 'grid'}" d="M${round(x(ratio))} ${TOP - 10}V${y}"/>`,
    text(x(ratio), TOP - 16, `${ratio}x`, 'middle', 'small'),
  ])
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 10}" font-family="sans-serif" font-size="12">
<title>How many times as good as others: right of 1x slipway is ahead</title>
<style>${STYLE}</style>
<rect class="page" width="${WIDTH}" height="${y + 10}"/>
${text(16, 20, 'How many times as good as others (medians, log scale; thin line: least to most). Right of 1x slipway is ahead.', 'start')}
${[...grid, ...parts].join('\n')}
</svg>
`
}

interface Group {
  readonly title: string
  readonly bars: readonly { readonly name: string; readonly ratio: Spread }[]
}

const WIDTH = 1000
const LEFT = 490
const RIGHT = 920
const TOP = 60
const BAR = 14
const GAP = 8
const GRID = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
const COLOURS = ['#3b7dd8', '#d9822b', '#3a9d5d', '#b44fb4', '#c94f4f', '#7a7a2e', '#4aa3a3', '#8a6d5a']
const STYLE = `.page{fill:#fff}text{fill:#222}.small{font-size:10px}.grid{stroke:#ddd}.one{stroke:#222}.range{stroke:#222}
${COLOURS.map((colour, index) => `.c${index}{fill:${colour}}`).join('')}
@media (prefers-color-scheme:dark){.page{fill:#14171a}text{fill:#e6e6e6}.grid{stroke:#3a3f44}.one{stroke:#e6e6e6}.range{stroke:#e6e6e6}}`

function groupsOf({ workloads }: Results): Group[] {
  const groups = workloads.flatMap(({ id, cases }) =>
    cases.flatMap(one =>
      one.metrics.map((metric): Group => {
        const ours = oursOf(one)
        const bars = one.contenders.flatMap(peer => {
          const ratio = peer === ours || ours === undefined ? undefined : ratioTo(peer, ours, metric)
          return ratio === undefined || ratio.median <= 0 ? [] : [{ name: peer.name, ratio }]
        })
        const what = [one.name, metric.label].filter(part => part !== undefined).join(', ')
        return { title: `${id} ${what}`, bars }
      }),
    ),
  )
  return groups.filter(({ bars }) => bars.length > 0)
}

function text(
  x: number,
  y: number,
  words: string,
  anchor: 'start' | 'middle' | 'end',
  style?: string,
): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${style === undefined ? '' : ` class="${style}"`}>${escaped}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
