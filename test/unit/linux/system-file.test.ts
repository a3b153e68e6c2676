import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSystemFile } from '../../../src/linux/system-file.ts'

test('readSystemFile() tells what the machine tells, and nothing of what it does not', () => {
  assert.match(readSystemFile('/proc/self/status') ?? '', /^Name:/)
  assert.equal(readSystemFile('/proc/there-is-no-such-file'), undefined)
  assert.equal(readSystemFile('/proc'), undefined)
  assert.throws(() => readSystemFile('/proc/self/status/below-a-file'), { code: 'ENOTDIR' })
})
