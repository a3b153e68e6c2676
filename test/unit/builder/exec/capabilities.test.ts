import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownCapabilities, parseCapabilities } from '../../../../src/builder/exec/capabilities.ts'

test('capabilities are told by the bits of what a process may use', () => {
  assert.deepEqual(parseCapabilities('Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t0000010000200001\n'), [
    'CAP_CHOWN',
    'CAP_SYS_ADMIN',
    'CAP_CHECKPOINT_RESTORE',
  ])
  assert.equal(parseCapabilities('CapPrm:\t000001ffffffffff\n').length, 41)
  assert.deepEqual(parseCapabilities(''), [])
})

test('this process has some or none', () => {
  assert.ok(Array.isArray(ownCapabilities()))
})
