/** Several processes over one store: a registry, and builds beside it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { readImage } from './support/image-contents.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

describe('a serve and builds over one store', {
  skip: cannotRun({ root: true, programs: ['runc', 'skopeo', 'umoci', 'getfattr'] }),
}, () => {
  let world: World
  before(async () => {
    world = await createWorld({ base: true })
  })
  after(() => world?.[Symbol.asyncDispose]())

  it('three builds at once with steps in common, all pullable when they end', async () => {
    await using served = await world.slipway.serve()
    const builds = ['one', 'two', 'three'].map(async name => {
      const context = await world.folder(name, {
        Dockerfile: `FROM base:1\nRUN echo shared > /shared\nRUN echo ${name} > /own\nCOPY file /file\n`,
        file: name,
      })
      await world.slipway.run(['build', '--network=host', '-t', `together/${name}`, context])
      const image = await readImage(
        `docker://${served.host}/together/${name}`,
        join(world.scratch, `read-${name}`),
      )
      assert.ok(image.tree.has('shared') && image.tree.has('own') && image.tree.has('file'))
    })
    await Promise.all(builds)
  })

  it('independent stages run at the same time, and the same step once', async () => {
    // Each stage listens on a loopback port (the network is the host's) and ends when it has reached the other.
    const dockerfile = `FROM base:1 AS left
RUN nc -l -p 47113 < /dev/null > /dev/null & i=0; until nc -w 1 127.0.0.1 47114 < /dev/null; do i=$((i+1)); [ $i -lt 50 ] || exit 1; sleep 0.2; done; wait; echo left > /left
FROM base:1 AS right
RUN nc -l -p 47114 < /dev/null > /dev/null & i=0; until nc -w 1 127.0.0.1 47113 < /dev/null; do i=$((i+1)); [ $i -lt 50 ] || exit 1; sleep 0.2; done; wait; echo right > /right
FROM scratch
COPY --from=left /left /
COPY --from=right /right /
`
    const context = await world.folder('parallel', { Dockerfile: dockerfile })
    await world.slipway.run(['build', '--network=host', '-t', 'parallel', context])
  })
})
