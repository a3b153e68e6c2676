import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findRuntime, type RuntimeFinder } from '../../../../src/builder/exec/runtime.ts'

/** A machine with runtimes of our own in `bin`, of which some work. */
function machine(t: TestContext, programs: readonly string[], working: readonly string[]) {
  const root = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  t.after(() => rmSync(root, { recursive: true }))
  const bin = join(root, 'bin')
  mkdirSync(bin)
  for (const name of programs) writeFileSync(join(bin, name), '', { mode: 0o755 })
  const tried: string[] = []
  const finder: RuntimeFinder = {
    directory: join(root, 'state'),
    runtime: undefined,
    path: bin,
    tryOut: async runtime => {
      tried.push(basename(runtime))
      return working.includes(basename(runtime)) ? undefined : 'no cgroups'
    },
  }
  return { finder, bin, tried }
}

const ALL = ['crun', 'runc', 'youki']

test('the first runtime that works is taken, and remembered', async t => {
  const { finder, bin, tried } = machine(t, ALL, ['runc', 'youki'])
  assert.equal(await findRuntime(finder), join(bin, 'runc'))
  assert.equal(await findRuntime(finder), join(bin, 'runc'))
  assert.deepEqual(tried, ['crun', 'runc'])
})

test('a choice is made anew when a runtime changes', async t => {
  const { finder, bin, tried } = machine(t, ALL, ALL)
  await findRuntime(finder)
  utimesSync(join(bin, 'youki'), 1, 1)
  await findRuntime(finder)
  assert.deepEqual(tried, ['crun', 'crun'])
})

test('a remembered choice that makes no sense is ignored', async t => {
  const { finder, bin } = machine(t, ALL, ALL)
  mkdirSync(finder.directory)
  for (const nonsense of ['', '{', 'null', '{"runtime":"/bin/evil","fingerprint":3}']) {
    writeFileSync(join(finder.directory, 'runtime.json'), nonsense)
    assert.equal(await findRuntime(finder), join(bin, 'crun'))
  }
})

test('a runtime that is named is not tried, whether by name or by path', async t => {
  const { finder, bin, tried } = machine(t, ['crun', 'other'], [])
  assert.equal(await findRuntime({ ...finder, runtime: 'other' }), join(bin, 'other'))
  assert.equal(await findRuntime({ ...finder, runtime: join(bin, 'crun') }), join(bin, 'crun'))
  assert.deepEqual(tried, [])
})

test('a named runtime that is missing or not executable is an error that names it', async t => {
  const { finder, bin } = machine(t, [], [])
  writeFileSync(join(bin, 'plain'), '', { mode: 0o644 })
  for (const runtime of ['nothing-of-the-kind', join(bin, 'plain'), bin])
    await assert.rejects(findRuntime({ ...finder, runtime }), {
      code: 'runtime-missing',
      message: `Cannot run containers: the runtime "${runtime}" is not there, or not executable`,
    })
})

test('when none works the error lists what was tried and says what to install', async t => {
  const { finder, bin } = machine(t, ALL, [])
  await assert.rejects(findRuntime(finder), {
    code: 'runtime-missing',
    message: `Cannot run containers: no runtime works on this machine (${ALL.map(name => `${bin}/${name}: no cgroups`).join('; ')})`,
    hint: 'install one, for example: apt-get install runc',
  })
})

test('relative and empty parts of the path are not searched', async t => {
  const { finder, bin } = machine(t, ALL, ALL)
  assert.equal(await findRuntime({ ...finder, path: `:.:bin:${bin}` }), join(bin, 'crun'))
})
