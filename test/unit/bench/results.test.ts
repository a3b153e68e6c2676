import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type ContenderResult,
  mergeResults,
  peakMemory,
  type Results,
  ratioTo,
  spreadOf,
} from '../../../bench/results.ts'

const contender = (name: string, ...seconds: readonly number[]): ContenderResult => ({
  name,
  samples: seconds.map(value => ({ values: { seconds: value }, cpuSeconds: 0, peakBytes: 0 })),
})
const metric = { key: 'seconds', unit: 's', better: 'less' } as const

describe('spreadOf()', () => {
  it('takes the middle of an odd number of values, and between the two middle ones of an even number', () => {
    assert.deepEqual(spreadOf([9, 1, 2]), { median: 2, least: 1, most: 9 })
    assert.equal(spreadOf([4, 1, 2, 9])?.median, 3)
    assert.equal(spreadOf([]), undefined)
  })
})

describe('ratioTo()', () => {
  const ours = contender('slipway', 1, 2, 4)
  const peer = contender('peer', 3, 4, 4)

  it('is above 1 where ours takes less of what should be little', () => {
    assert.deepEqual(ratioTo(peer, ours, metric), { median: 2, least: 1, most: 3 })
  })

  it('is above 1 where ours does more of what should be much', () => {
    assert.equal(ratioTo(ours, peer, { ...metric, better: 'more' })?.median, 2)
  })

  it('is not there for a peer without figures', () => {
    assert.equal(ratioTo(contender('peer'), ours, metric), undefined)
  })
})

describe('peakMemory()', () => {
  it('finds the row that took most, by the median of its runs', () => {
    const row = (id: string, ...megabytes: readonly number[]) => ({
      ...{ id, title: '', limit: '', day: '', runs: 1, scale: 1, load: 0 },
      cases: [
        {
          name: 'case',
          metrics: [],
          contenders: [
            {
              name: 'slipway',
              samples: megabytes.map(value => ({ values: {}, cpuSeconds: 0, peakBytes: value * 1e6 })),
            },
          ],
        },
      ],
    })
    const workloads = [row('B1', 90, 100, 900), row('B2', 120), row('B3'), row('R1', 500)]
    assert.deepEqual(peakMemory(workloads, 'B'), { id: 'B2', name: 'case', peakMB: 120 })
    assert.equal(peakMemory(workloads, 'X'), undefined)
  })
})

describe('mergeResults()', () => {
  it('keeps what was not measured anew, in the order of the table', () => {
    const machine = { processor: '', cores: 1, hasSHA: false, memoryGB: 1, linux: '', node: '', peers: {} }
    const workload = (id: string, runs: number) => ({
      ...{ id, title: '', limit: '', day: '', scale: 1, load: 0, cases: [] },
      runs,
    })
    const older: Results = { machine, workloads: [workload('B2', 1), workload('B1', 1)] }
    const newer: Results = { machine, workloads: [workload('B2', 3)] }
    const merged = mergeResults(older, newer, ['B1', 'B2', 'B3'])
    assert.deepEqual(
      merged.workloads.map(({ id, runs }) => `${id} ${runs}`),
      ['B1 1', 'B2 3'],
    )
  })
})
