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
import { comparable, tellApart, withoutDifferences } from './support/differences.ts'
import { type Engine, startNewestEngine } from './support/engine.ts'
import { readLayout } from './support/image-contents.ts'
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

describe('our image equals the one that BuildKit builds', { skip: cannot ?? false, concurrency: 2 }, () => {
  let scratch: string
  let engine: Engine
  let slipway: Slipway
  let served: Served

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'slipway-same-'))
    engine = await startNewestEngine()
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

      const output = (who: string) => [
        ...['--output', `type=oci,dest=${join(scratch, `${who}-${name}`)},tar=false`],
        ...['-t', `case-${name}`],
      ]
      await engine.build([...output('theirs'), ...options, context], { cwd: context })
      await slipway.run(['build', '--network=host', ...output('ours'), ...options, context], { cwd: context })
      const read = async (who: string) => {
        const image = await readLayout(join(scratch, `${who}-${name}`), join(scratch, `files-${who}-${name}`))
        return withoutDifferences(comparable(image), engine.version)
      }
      assert.deepEqual(tellApart(await read('ours'), await read('theirs')), [])
    })
  }
})
