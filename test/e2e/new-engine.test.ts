/** An engine of our day, with containerd's image store, as a client of `slipway serve`. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startNewEngine } from './support/engine.ts'
import { cannotRun, createWorld } from './support/world.ts'

const programs = ['mmdebstrap', 'unshare', 'nsenter', 'runc']

describe('an engine with containerd as its image store', {
  skip: cannotRun({ root: true, programs }),
}, () => {
  it('pulls and runs what we built, gzip and zstd, and pushes what it built', async () => {
    await using world = await createWorld({ base: true })
    const context = await world.folder('app', {
      Dockerfile: 'FROM base:1\nRUN echo from a step > /made\nCMD ["cat", "/made"]\n',
    })
    for (const compression of ['gzip', 'zstd']) {
      const output = `type=store,compression=${compression},force-compression=true`
      await world.slipway.run(['build', '--network=host', '-t', `app:${compression}`, '-o', output, context])
    }
    await using served = await world.slipway.serve()
    await using engine = await startNewEngine()
    for (const compression of ['gzip', 'zstd']) {
      const name = `${served.host}/app:${compression}`
      await engine.docker(['pull', '--quiet', name])
      assert.equal(await engine.docker(['run', '--rm', '--network=host', name]), 'from a step\n')
    }

    const derived = await world.folder('derived', {
      Dockerfile: `FROM ${served.host}/app:zstd\nRUN echo by docker > /docker\n`,
    })
    await engine.build(['-t', `${served.host}/from/docker:1`, derived])
    await engine.docker(['push', `${served.host}/from/docker:1`])
    const onTop = await world.folder('on-top', {
      Dockerfile: 'FROM from/docker:1\nRUN cat /made /docker > /both\nFROM scratch\nCOPY --from=0 /both /\n',
    })
    const files = join(world.scratch, 'files')
    await world.slipway.run(['build', '--network=host', '-o', files, onTop])
    assert.equal(readFileSync(join(files, 'both'), 'utf8'), 'from a step\nby docker\n')
  })
})
