import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mapArguments } from '../../../src/linux/user-namespace.ts'

test('mapArguments() makes us 0, and the ranges what follows', () => {
  const ranges = [
    { start: 100000, count: 1000 },
    { start: 500000, count: 10 },
  ]
  assert.deepEqual(mapArguments(1001, ranges), [0, 1001, 1, 1, 100000, 1000, 1001, 500000, 10])
})

test('mapArguments() takes no range twice, and none that holds ourselves: the kernel refuses the whole map then', () => {
  const range = { start: 100000, count: 1000 }
  assert.deepEqual(mapArguments(7, [range, range, { start: 0, count: 10 }]), [0, 7, 1, 1, 100000, 1000])
})
