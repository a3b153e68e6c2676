import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asGoWrites, formatTime } from '../../../src/oci/time.ts'

test('formatTime() writes no zeros at the end of a fraction', () => {
  assert.equal(formatTime(1_600_000_000_000), '2020-09-13T12:26:40Z')
  assert.equal(formatTime(1_600_000_000_670), '2020-09-13T12:26:40.67Z')
  assert.equal(formatTime(1_600_000_000_007), '2020-09-13T12:26:40.007Z')
})

const ROWS = [
  ['2026-11-23T07:55:14.670Z', '2026-11-23T07:55:14.67Z'],
  ['2026-11-23T07:55:10.000Z', '2026-11-23T07:55:10Z'],
  ['2026-11-23T07:55:10Z', '2026-11-23T07:55:10Z'],
  ['2026-11-23T07:55:10.123456789Z', '2026-11-23T07:55:10.123456789Z'],
  ['2026-11-23T07:55:10.50+02:00', '2026-11-23T07:55:10.5+02:00'],
  ['2026-11-23T07:55:10+00:00', '2026-11-23T07:55:10Z'],
  ['yesterday', 'yesterday'],
] as const

for (const [time, written] of ROWS)
  test(`asGoWrites() makes ${written} of ${time}`, () => assert.equal(asGoWrites(time), written))
