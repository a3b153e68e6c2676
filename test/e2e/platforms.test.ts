/** Images of several platforms, from a machine of one, as real clients see them. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { succeed } from './support/process.ts'
import { type Served, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const PLATFORMS = 'linux/amd64,linux/arm64,linux/s390x'
/** Nobody registers an emulator for it. */
const FOREIGN = 'linux/mips64'

describe('several platforms', { skip: cannotRun({ programs: ['skopeo'] }) }, () => {
  let world: World
  let served: Served

  before(async () => {
    world = await createWorld()
    served = await world.slipway.serve()
  })
  after(async () => {
    await served?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  it('are one name, under which each client finds its own', async () => {
    const context = await world.folder('files', {
      Dockerfile: 'FROM scratch\nARG TARGETARCH\nWORKDIR /w\nCOPY --chown=7 f $TARGETARCH\n',
      f: 'content',
    })
    await world.slipway.run(['build', '--platform', PLATFORMS, '-t', 'files', context])
    for (const architecture of ['arm64', 's390x']) {
      const client = ['--override-os', 'linux', '--override-arch', architecture, 'inspect', '--config']
      const config = await succeed('skopeo', [
        ...client,
        '--tls-verify=false',
        `docker://${served.host}/files`,
      ])
      assert.equal(JSON.parse(config).architecture, architecture)
    }
    const folder = join(world.scratch, 'out')
    await world.slipway.run(['build', '--platform', PLATFORMS, '-o', folder, context])
    assert.ok(existsSync(join(folder, 'linux_s390x/w/s390x')))
  })

  it('are pushed whole, and pulled by another slipway', async () => {
    const context = await world.folder('pushed', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' })
    const name = `${served.host}/pushed:1`
    const other = slipwayAt(join(world.scratch, 'other'))
    await other.run(['build', '--platform', PLATFORMS, '--push', '-t', name, context])
    const index = JSON.parse(
      await succeed('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`]),
    )
    assert.equal(index.manifests.length, 3)
  })

  it('a step for a processor that this machine cannot play is refused with what to install', async () => {
    const context = await world.folder('foreign', { Dockerfile: 'FROM scratch\nRUN x\n' })
    await assert.rejects(
      world.slipway.run(['build', '--platform', FOREIGN, context]),
      /Cannot run a step for linux\/mips64: .*no emulator[\s\S]*qemu-user-static/,
    )
  })
})
