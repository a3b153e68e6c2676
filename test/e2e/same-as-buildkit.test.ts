/**
 * Every case of fixtures/dockerfile (see its README.md) is built by us and by a real engine's BuildKit, from the same base
 * image and the same context; config, history, number of layers, the flattened tree and the warnings must be equal. Both
 * images are unpacked by a tool that is neither's (umoci). The engine is that of Debian sid where it can be had, else
 * the installed one.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { busyboxRootfs } from './support/base-images.ts'
import { type Case, readCases } from './support/cases.ts'
import {
  type Comparable,
  comparable,
  differencesOf,
  isOld,
  tellApart,
  withoutDifferences,
} from './support/differences.ts'
import { type Engine, startNewestEngine } from './support/engine.ts'
import { type ImageContents, readImage, readLayout } from './support/image-contents.ts'
import type { Outcome } from './support/process.ts'
import { type Slipway, slipwayAt } from './support/slipway.ts'
import { engineWarnings, ourWarnings } from './support/warnings.ts'
import { cannotRun } from './support/world.ts'

const cases = readCases()
const programs = [
  'dockerd',
  'docker',
  'mmdebstrap',
  'unshare',
  'nsenter',
  'skopeo',
  'umoci',
  'getfattr',
  'setfattr',
  'setcap',
  'xz',
]
const writesGoldens = process.env.SLIPWAY_GOLDENS === 'write'

describe('our image equals the one that BuildKit builds', {
  skip: cannotRun({ root: true, programs }),
  concurrency: 3,
}, () => {
  let scratch: string
  let engine: Engine
  let slipway: Slipway
  let base: Comparable
  const outcomes = new Map<string, number>()
  const used = new Map<string, number>()

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'slipway-same-'))
    engine = await startNewestEngine()
    slipway = slipwayAt(join(scratch, 'store'))
    await busyboxRootfs(join(scratch, 'base.tar'))
    await slipway.run(['import', join(scratch, 'base.tar'), 'base:1'])
    await slipway.run(['save', '-o', join(scratch, 'image.tar'), 'base:1'])
    await engine.docker(['load', '--quiet', '-i', join(scratch, 'image.tar')])
    base = await buildOurs('base', scratch, ['-f', '-'], 'FROM base:1\n')
  })

  after(async () => {
    await engine?.[Symbol.asyncDispose]()
    await rm(scratch, { recursive: true, force: true })
    console.log(summary())
  })

  it('has enough cases', () => assert.ok(cases.length >= 120, `${cases.length} cases`))

  for (const one of cases) {
    it(one.name, async () => {
      const context = join(scratch, one.name)
      await one.prepare(context)
      const outcome = await COMPARISONS[one.kind](one, context)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    })
  }

  /** Each compares a case in its way and returns the line of the summary that it counts for. */
  const COMPARISONS: Readonly<Record<Case['kind'], (one: Case, context: string) => Promise<string>>> = {
    async image({ name, options }, context) {
      const layout = ['-o', `type=oci,dest=${join(scratch, `theirs-${name}`)},tar=false`]
      const output = isOld(engine.version) ? [] : layout
      const built = await tryTheirs([...output, '-t', `case-${name}`, ...options], context)
      const warnings: string[] = []
      const ours = await buildOurs(name, context, options, undefined, warnings)
      if (built.code !== 0 && isOld(engine.version)) return 'not known to the engine'
      assert.equal(built.code, 0, `docker build\n${built.stdout}\n${built.stderr}`)
      const theirs = comparable(await readTheirs(name))
      if (!isOld(engine.version)) assert.deepEqual(warnings, engineWarnings(built.stderr))
      const apart = tellApart(
        withoutDifferences(ours, engine.version),
        withoutDifferences(theirs, engine.version),
      )
      assert.deepEqual(apart, [])
      const differences = differencesOf(ours, theirs, engine.version)
      for (const difference of differences) used.set(difference, (used.get(difference) ?? 0) + 1)
      return differences.length === 0 ? 'same' : 'same but for a listed difference'
    },

    async expected({ name, options, expectedFile }, context) {
      const { why, ...expected } = JSON.parse(readFileSync(expectedFile, 'utf8'))
      const image = relativeTo(base, await buildOurs(name, context, options))
      if (writesGoldens) writeFileSync(expectedFile, `${JSON.stringify({ why, ...image }, undefined, 2)}\n`)
      else assert.deepEqual(tellApart(image, expected), [])
      return 'as expected, without the engine'
    },

    async refused({ options, errors }, context) {
      const ours = await tryOurs(options, context)
      assert.ok(ours.code === 1 || ours.code === 2, `ended with ${ours.code}\n${ours.stdout}\n${ours.stderr}`)
      for (const error of errors)
        assert.ok(ours.stderr.includes(error), `${error} is not in:\n${ours.stderr}`)
      const theirs = await tryTheirs(options, context)
      assert.notEqual(theirs.code, 0, `the engine builds it\n${theirs.stderr}`)
      return 'refused by both'
    },

    async check({ options }, context) {
      if (isOld(engine.version)) return 'not known to the engine'
      const ours = await tryOurs(['--check', ...options], context)
      const theirs = await engine.tryDocker(
        ['buildx', 'build', '--call=check,format=json', ...options, context],
        { cwd: context },
      )
      assert.deepEqual(ourWarnings(ours.stdout), engineWarnings(theirs.stdout))
      assert.equal(ours.code === 0, theirs.code === 0, `${ours.stderr}\n${theirs.stderr}`)
      return 'same warnings'
    },
  }

  function tryOurs(options: readonly string[], context: string, input?: string): Promise<Outcome> {
    const args = ['build', '--network=host', '--progress=plain', ...options, context]
    return slipway.try(args, { cwd: context, ...(input !== undefined && { input }) })
  }

  function tryTheirs(options: readonly string[], context: string): Promise<Outcome> {
    const none = isOld(engine.version) ? [] : ['--provenance=false']
    return engine.tryBuild([...none, ...options, context], { cwd: context })
  }

  /** The old engine writes no layouts. */
  function readTheirs(name: string): Promise<ImageContents> {
    const files = join(scratch, `their-files-${name}`)
    return isOld(engine.version)
      ? readImage(`docker-daemon:case-${name}:latest`, files, engine.skopeoArguments)
      : readLayout(join(scratch, `theirs-${name}`), files)
  }

  async function buildOurs(
    name: string,
    context: string,
    options: readonly string[],
    input?: string,
    warnings: string[] = [],
  ): Promise<Comparable> {
    const layout = join(scratch, `ours-${name}`)
    const output = ['-o', `type=oci,dest=${layout},tar=false`, '-t', 'case']
    const built = await tryOurs([...output, ...options], context, input)
    assert.equal(built.code, 0, `slipway build\n${built.stdout}\n${built.stderr}`)
    warnings.push(...ourWarnings(built.stdout + built.stderr))
    return comparable(await readLayout(layout, join(scratch, `our-files-${name}`)))
  }

  function summary(): string {
    const rows = [...outcomes].sort()
    const failed = cases.length - rows.reduce((sum, [, count]) => sum + count, 0)
    const all = [['cases', cases.length], ...rows, ['failed or not run', failed], ...[...used].sort()]
    return [
      `Compared with the engine ${engine?.version}:`,
      ...all.map(([what, count]) => `${`${count}`.padStart(5)}  ${what}`),
    ].join('\n')
  }
})

/** An image with those files alone that another has not, or has otherwise; null for what only the other has. */
function relativeTo(base: Comparable, image: Comparable): object {
  const paths = [...new Set([...Object.keys(base.tree), ...Object.keys(image.tree)])].sort()
  const changed = paths.filter(path => base.tree[path] !== image.tree[path])
  return { ...image, tree: Object.fromEntries(changed.map(path => [path, image.tree[path] ?? null])) }
}
