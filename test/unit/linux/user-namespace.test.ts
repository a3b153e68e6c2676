import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { mapArguments, mapOfOwnIDs, openUserNamespace } from '../../../src/linux/user-namespace.ts'

test('mapArguments() makes us 0, and the ranges what follows', () => {
  const ranges = [
    { start: 100000, count: 1000 },
    { start: 500000, count: 10 },
  ]
  assert.deepEqual(mapArguments(1001, ranges), [0, 1001, 1, 1, 100000, 1000, 1001, 500000, 10])
})

test('mapOfOwnIDs() makes each id itself, and no map by which a namespace passes for the first of the machine', () => {
  assert.equal(mapOfOwnIDs([{ inside: 0, outside: 100000, count: 65536 }]), '0 0 65536\n')
  assert.equal(mapOfOwnIDs([{ inside: 0, outside: 0, count: 4294967295 }]), '0 0 4294967294\n')
})

test('mapArguments() takes no range twice, and none that holds ourselves: the kernel refuses the whole map then', () => {
  const range = { start: 100000, count: 1000 }
  assert.deepEqual(mapArguments(7, [range, range, { start: 0, count: 10 }]), [0, 7, 1, 1, 100000, 1000])
})

test('openUserNamespace() has one id alone where newuidmap says that it wrote ids, and did not', {
  skip: process.getuid?.() === 0 ? false : 'it makes a namespace of another user: run as root',
}, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const name of ['newuidmap', 'newgidmap'])
    writeFileSync(join(folder, name), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  const ranges = [{ start: 100000, count: 1000 }]
  const { singleIDReason, descriptors } = await openUserNamespace({
    uid: 1000,
    gid: 1000,
    subordinate: { uids: ranges, gids: ranges },
    path: `${folder}:${process.env.PATH}`,
  })
  for (const descriptor of descriptors) closeSync(descriptor)
  assert.equal(singleIDReason, 'newuidmap handed out no ids')
})
