import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  createCounter,
  createHistogram,
  formatMetrics,
  gauge,
} from '../../../../src/registry/operations/metrics.ts'

describe('formatMetrics()', () => {
  it('writes counters, one line a series', () => {
    const counter = createCounter('things_total', 'Things.')
    counter.add({ kind: 'a' })
    counter.add({ kind: 'b' }, 5)
    counter.add({ kind: 'a' }, 2)
    assert.equal(
      formatMetrics([counter.collect()]),
      '# HELP things_total Things.\n# TYPE things_total counter\nthings_total{kind="a"} 3\nthings_total{kind="b"} 5\n',
    )
  })

  it('writes buckets that count what is below them too', () => {
    const histogram = createHistogram('took_seconds', 'Time.', [0.1, 1])
    for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe({ route: 'x' }, value)
    assert.equal(
      formatMetrics([histogram.collect()]),
      `# HELP took_seconds Time.
# TYPE took_seconds histogram
took_seconds_bucket{route="x",le="0.1"} 2
took_seconds_bucket{route="x",le="1"} 3
took_seconds_bucket{route="x",le="+Inf"} 4
took_seconds_sum{route="x"} 7.65
took_seconds_count{route="x"} 4
`,
    )
  })

  it('escapes what would end a label', () => {
    const counter = createCounter('c', 'C.')
    counter.add({ label: 'a"b\\c\nd' })
    assert.match(formatMetrics([counter.collect()]), /^c\{label="a\\"b\\\\c\\nd"\} 1$/m)
  })

  it('writes a value without labels', () => {
    assert.equal(formatMetrics([gauge('g', 'G.', 0)]), '# HELP g G.\n# TYPE g gauge\ng 0\n')
  })
})
