import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { groupOf, handDownControllers } from '../../../../src/builder/exec/hand-down.ts'

// Plain files stand for the kernel's: they keep the last word that was written.
test('handDownControllers() asks each group above for what it has, and no group for what it has not', t => {
  const root = mkdtempSync(join(tmpdir(), 'slipway-groups-'))
  t.after(() => rmSync(root, { recursive: true }))
  const has = { '': 'cpuset cpu io memory pids', '/user': 'memory pids', '/user/step': 'memory pids' }
  for (const [group, controllers] of Object.entries(has)) {
    mkdirSync(`${root}${group}`, { recursive: true })
    writeFileSync(`${root}${group}/cgroup.controllers`, `${controllers}\n`)
    writeFileSync(`${root}${group}/cgroup.subtree_control`, 'none')
  }
  assert.deepEqual(handDownControllers(root, '/user/step'), ['+pids'])
  for (const group of Object.keys(has))
    assert.equal(readFileSync(`${root}${group}/cgroup.subtree_control`, 'utf8'), '+pids')
  writeFileSync(`${root}/user/cgroup.controllers`, '')
  writeFileSync(`${root}/user/cgroup.subtree_control`, 'none')
  handDownControllers(root, '/user/step')
  assert.equal(readFileSync(`${root}/user/cgroup.subtree_control`, 'utf8'), 'none')
})

test('handDownControllers() gives nothing where nothing is there', t => {
  const root = mkdtempSync(join(tmpdir(), 'slipway-groups-'))
  t.after(() => rmSync(root, { recursive: true }))
  assert.deepEqual(handDownControllers(root, '/missing'), [])
})

const GROUPS = [
  ['the root', '1:cpu:/x\n0::/\n', ''],
  [
    'a group of systemd',
    '0::/user.slice/user-1000.slice/run-r1.scope\n',
    '/user.slice/user-1000.slice/run-r1.scope',
  ],
  ['where we have moved', '0::/run-r1.scope/slipway-processes\n', '/run-r1.scope'],
  ['where we have moved in a container', '0::/slipway-processes\n', ''],
  ['none of version 2', '1:cpu:/x\n', ''],
] as const

for (const [what, text, group] of GROUPS)
  test(`groupOf() finds the group that we were started in: ${what}`, () => assert.equal(groupOf(text), group))
