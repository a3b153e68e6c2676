import assert from 'node:assert/strict'
import { fstatSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { becomeRoot } from '../../../src/cli/user-namespace.ts'

const VARIABLE = 'SLIPWAY_USER_NAMESPACE'

test('a variable that none of us has set is not believed, and goes no further', async () => {
  const inside = { uid: 1, workingDirectory: '/', name: readlinkSync('/proc/self/ns/user') }
  for (const text of [
    '',
    'yes',
    'null',
    '{}',
    '['.repeat(100_000),
    JSON.stringify({ ...inside, descriptors: ['x'] }),
    JSON.stringify({ ...inside, descriptors: [0, 1, 2] }),
    JSON.stringify({ ...inside, descriptors: [], name: 'user:[1]' }),
  ]) {
    process.env[VARIABLE] = text
    assert.deepEqual(await becomeRoot('images', []), { uid: process.getuid?.() }, text.slice(0, 80))
    assert.equal(process.env[VARIABLE], undefined)
  }
  for (const stream of [0, 1, 2]) assert.ok(fstatSync(stream))
})
