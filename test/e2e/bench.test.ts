/** That the benchmark works: every workload gives figures of ours, in a table, a plot and a file. No time is asserted. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Results } from '../../bench/results.ts'
import { type Outcome, run } from './support/process.ts'
import { cannotRun } from './support/world.ts'

const ROOT = join(import.meta.dirname, '../..')

describe('npm run bench -- --quick', {
  skip: cannotRun({ root: true, programs: ['runc', 'docker-registry', 'tar'] }),
}, () => {
  let scratch: string
  let outcome: Outcome
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'slipway-e2e-'))
    // Engines are slow to start; those that are cheap show that others are measured as well.
    const args = ['--quick', '--against', 'docker-registry,runc', '--out', join(scratch, 'results')]
    outcome = await run(join(ROOT, 'bin/node'), [join(ROOT, 'bench/main.ts'), ...args], {
      env: { TMPDIR: scratch },
    })
  })
  after(() => rm(scratch, { recursive: true, force: true }))

  it('has a figure of ours for every question of every workload', async () => {
    assert.equal(outcome.code, 0, outcome.stderr)
    const results: Results = JSON.parse(await readFile(join(scratch, 'results/latest.json'), 'utf8'))
    const ids = results.workloads.map(({ id }) => id)
    const builds = Array.from({ length: 10 }, (_, index) => `B${index + 1}`)
    assert.deepEqual(ids, ['L', ...builds, 'R1', 'R2', 'R3', 'R4', 'R5', 'R6', 'M'])
    for (const { id, cases } of results.workloads)
      for (const { name, metrics, contenders } of cases)
        for (const { key } of metrics) {
          const ours = contenders.find(contender => contender.name === 'slipway')
          assert.ok((ours?.samples[0]?.values[key] ?? 0) > 0, `${id} ${name}: ${key}\n${outcome.stderr}`)
        }
  })

  it('measures those who are there, and says who is not', async () => {
    assert.match(outcome.stdout, /\| R3 \|[^\n]*docker-registry \*\*\d/)
    assert.match(outcome.stdout, /\| B7 \|[^\n]*runc alone \*\*\d/)
    assert.match(outcome.stdout, /\| B5 \|[^\n]*buildah \(not asked for\)/)
    assert.match(outcome.stderr, /without nginx: not asked for/)
  })

  it('writes the table and a plot, and leaves nothing behind', async () => {
    assert.match(await readFile(join(scratch, 'results/latest.md'), 'utf8'), /^\| B10 \|/m)
    assert.match(await readFile(join(scratch, 'results/latest.svg'), 'utf8'), /^<svg .*<\/svg>\n$/s)
    assert.deepEqual(await readdir(scratch), ['results'])
  })
})
