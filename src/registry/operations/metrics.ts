/**
 * Numbers for Prometheus, in its text format (version 0.0.4). Counters and histograms live here; what is known
 * elsewhere is asked for when it is scraped. Label values come from short lists, never from requests: the number of
 * series is bounded.
 */

export type Labels = Readonly<Record<string, string>>

export interface Metric {
  readonly name: string
  /** One line. */
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: readonly Sample[]
}

export interface Sample {
  /** Of a histogram: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string
  readonly labels?: Labels
  readonly value: number
}

/** Asked at every scrape, so it costs little. */
export type Collector = () => Promise<readonly Metric[]> | readonly Metric[]

export interface Counter {
  add(labels: Labels, value?: number): void
  collect(): Metric
}

export function createCounter(name: string, help: string): Counter {
  const series = new Map<string, { readonly labels: Labels; value: number }>()
  return {
    add(labels, value = 1) {
      const key = keyOf(labels)
      const known = series.get(key)
      if (known === undefined) series.set(key, { labels, value })
      else known.value += value
    },
    collect: () => ({
      name,
      help,
      type: 'counter',
      samples: Array.from(series.values(), one => ({ ...one })),
    }),
  }
}

export interface Histogram {
  observe(labels: Labels, value: number): void
  collect(): Metric
}

interface Distribution {
  readonly labels: Labels
  /** Not cumulative; one more than there are bounds. */
  readonly counts: number[]
  sum: number
}

/** @param bounds of the buckets, ascending */
export function createHistogram(name: string, help: string, bounds: readonly number[]): Histogram {
  const series = new Map<string, Distribution>()
  return {
    observe(labels, value) {
      const key = keyOf(labels)
      let known = series.get(key)
      if (known === undefined) {
        known = { labels, counts: [...bounds, 0].map(() => 0), sum: 0 }
        series.set(key, known)
      }
      const bucket = bounds.findIndex(bound => value <= bound)
      const index = bucket < 0 ? bounds.length : bucket
      known.counts[index] = (known.counts[index] ?? 0) + 1
      known.sum += value
    },
    collect: () => ({
      name,
      help,
      type: 'histogram',
      samples: [...series.values()].flatMap(one => distributionSamples(one, bounds)),
    }),
  }
}

export function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: 'gauge', samples: [{ value }] }
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export function formatMetrics(metrics: readonly Metric[]): string {
  return metrics.map(formatMetric).join('')
}

function distributionSamples({ labels, counts, sum }: Distribution, bounds: readonly number[]): Sample[] {
  let total = 0
  const buckets = counts.map((count, index) => {
    total += count
    const le = index < bounds.length ? String(bounds[index]) : '+Inf'
    return { suffix: '_bucket', labels: { ...labels, le }, value: total }
  })
  return [...buckets, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: total }]
}

function formatMetric({ name, help, type, samples }: Metric): string {
  const lines = samples.map(
    ({ suffix = '', labels = {}, value }) => `${name}${suffix}${formatLabels(labels)} ${value}`,
  )
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n')
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeValue(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

/** Made for every request. The labels of one metric have the same names in the same order, and no value has a NUL. */
function keyOf(labels: Labels): string {
  let key = ''
  for (const name in labels) key += `${labels[name]}\0`
  return key
}
