/**
 * Every case of fixtures/dockerfile is built by us and by a real engine's BuildKit, from the same base image and the same
 * context; config, history, number of layers and the flattened tree must be equal. Both images are read by tools that
 * are neither's (skopeo, umoci).
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { busyboxRootfs } from './support/base-images.ts'
import { type Engine, startEngine } from './support/engine.ts'
import { type ImageContents, readImage } from './support/image-contents.ts'
import { findProgram, succeed } from './support/process.ts'
import { type Served, type Slipway, slipwayAt } from './support/slipway.ts'

const CASES = join(import.meta.dirname, '../../fixtures/dockerfile')
const names = readdirSync(CASES).sort()
const tools = ['dockerd', 'docker', 'skopeo', 'umoci', 'getfattr', 'setfattr', 'setcap', 'xz']
const missing = tools.filter(name => findProgram(name) === undefined)
const cannot =
  process.getuid?.() !== 0
    ? 'it needs root'
    : missing.length > 0
      ? `not installed: ${missing.join(', ')}`
      : undefined
if (cannot !== undefined && process.env.CI === 'true') assert.fail(`cannot run in CI: ${cannot}`)

describe('our image equals the one that BuildKit builds', { skip: cannot ?? false }, () => {
  let scratch: string
  let engine: Engine
  let slipway: Slipway
  let served: Served

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'slipway-same-'))
    engine = await startEngine()
    slipway = slipwayAt(join(scratch, 'store'))
    const rootfs = join(scratch, 'base.tar')
    await busyboxRootfs(rootfs)
    await slipway.run(['import', rootfs, 'base:1'])
    served = await slipway.serve()
    await engine.docker(['pull', '--quiet', `${served.host}/base:1`])
    await engine.docker(['tag', `${served.host}/base:1`, 'base:1'])
  })

  after(async () => {
    await served?.[Symbol.asyncDispose]()
    await engine?.[Symbol.asyncDispose]()
    await rm(scratch, { recursive: true, force: true })
  })

  it('has enough cases', () => assert.ok(names.length >= 30, `${names.length} cases`))

  for (const name of names) {
    it(name, async () => {
      const context = join(scratch, name)
      cpSync(join(CASES, name), context, { recursive: true })
      if (existsSync(join(context, 'setup.sh'))) await succeed('sh', ['./setup.sh'], { cwd: context })
      const file = join(context, 'arguments')
      const options = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []

      await engine.build(['-t', `case-${name}`, ...options, context], { cwd: context })
      await slipway.run(['build', '--network=host', '-t', `case-${name}`, ...options, context], {
        cwd: context,
      })

      const theirs = await readImage(
        `docker-daemon:case-${name}:latest`,
        join(scratch, 'theirs'),
        engine.skopeoArguments,
      )
      const ours = await readImage(`docker://${served.host}/case-${name}`, join(scratch, 'ours'))
      assert.deepEqual(comparable(ours), comparable(theirs))
    })
  }
})

/** Without what must differ: times, the hashes of tars that hold them, and what the engine adds for itself. */
function comparable({ config, layers, tree }: ImageContents): unknown {
  const { created: _created, rootfs: _rootfs, history, 'moby.buildkit.cache.v0': _cache, ...rest } = config
  const steps = (history as HistoryEntry[]).map(({ created: _at, ...step }) => ({
    ...step,
    ...(step.created_by !== undefined && { created_by: olderHistory(step.created_by) }),
  }))
  return {
    config: { ...rest, config: withoutNulls(rest.config) },
    history: steps,
    layers,
    tree: Object.fromEntries(tree),
  }
}

/** Go writes an empty list as null where we write nothing. */
function withoutNulls(config: unknown): unknown {
  return Object.fromEntries(Object.entries(config as object).filter(([, value]) => value !== null))
}

interface HistoryEntry {
  readonly created?: string
  readonly created_by?: string
}

/**
 * Debian's engine is of 2020: its BuildKit writes some lines of the history otherwise than those of today, which we
 * follow (semantics 25, 81). Both sides are reduced to what the old one says.
 */
function olderHistory(createdBy: string): string {
  return (
    createdBy
      // COPY and ADD name their owner and mode.
      .replace(/^(COPY|ADD) (--ch(own|mod)=\S+ )+/, '$1 ')
      // ARG shows the value that it has.
      .replace(/^ARG (\w+)=.*$/, 'ARG $1')
      // RUN names the arguments that its stage inherited.
      .replace(/^RUN \|\d+ .*? \/bin\/sh -c/, 'RUN /bin/sh -c')
      // HEALTHCHECK has a start interval, the fourth duration.
      .replace(/^(HEALTHCHECK .*?"\S+" "\S+" "\S+") "0s" '/, "$1 '")
  )
}
