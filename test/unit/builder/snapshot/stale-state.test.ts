import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { removeStaleState } from '../../../../src/builder/snapshot/stale-state.ts'

/** A store in which the build of `run/tmp-00...` was killed; nobody holds its lock. */
function storeOfAKilledBuild(t: TestContext): { root: string; directory: string } {
  const root = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  t.after(() => rmSync(root, { recursive: true }))
  const directory = join(root, 'run/tmp-000000000000')
  mkdirSync(join(directory, 'private'), { recursive: true })
  writeFileSync(`${directory}.lock`, '')
  return { root, directory }
}

test('removeStaleState() takes a run directory killed before the path of its runtime was written for one without a container', async t => {
  const { root, directory } = storeOfAKilledBuild(t)
  writeFileSync(join(directory, 'runtime'), '')
  await removeStaleState(root)
  assert.deepEqual(readdirSync(join(root, 'run')), [])
})

test('removeStaleState() does without a runtime that has been uninstalled since', async t => {
  const { root, directory } = storeOfAKilledBuild(t)
  writeFileSync(join(directory, 'runtime'), join(root, 'no-such-runtime'))
  await removeStaleState(root)
  assert.deepEqual(readdirSync(join(root, 'run')), [])
})
