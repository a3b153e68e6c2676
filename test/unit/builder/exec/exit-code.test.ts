import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeExit, exitHint, outOfMemoryKills } from '../../../../src/builder/exec/exit-code.ts'

test('describeExit() names the signal that a code stands for', () => {
  assert.equal(describeExit(2), 'exit code 2')
  assert.equal(describeExit(128), 'exit code 128')
  assert.equal(describeExit(137), 'exit code 137 (SIGKILL)')
  assert.equal(describeExit(139), 'exit code 139 (SIGSEGV)')
  assert.equal(describeExit(143), 'exit code 143 (SIGTERM)')
  assert.equal(describeExit(255), 'exit code 255')
})

test('exitHint() tells what to look for where the code says more than that it failed', () => {
  assert.equal(exitHint(1, false), undefined)
  assert.match(exitHint(127, false) ?? '', /command was not found/)
  assert.match(exitHint(126, false) ?? '', /cannot be executed/)
  assert.match(exitHint(137, false) ?? '', /may have taken too much memory/)
  assert.match(exitHint(137, true) ?? '', /for want of memory/)
  // A compiler whose child was killed ends with a code of its own.
  assert.match(exitHint(4, true) ?? '', /for want of memory/)
})

test('outOfMemoryKills() never goes back', () => {
  const before = outOfMemoryKills()
  assert.ok(outOfMemoryKills() >= before)
})
