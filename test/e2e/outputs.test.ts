/** What others make of what we write: an engine of today, skopeo and podman. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { type Engine, startNewestEngine } from './support/engine.ts'
import { podmanIn } from './support/peers.ts'
import { succeed } from './support/process.ts'
import type { Served } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const FILES = {
  Dockerfile: `FROM base:1
ARG NAME=x
WORKDIR /srv/app
COPY a.txt sub /srv/
COPY <<EOT /etc/motd
hello & <good> day
EOT
RUN mkdir -p out && echo "$NAME" > out/name && touch -d "2001-02-03 04:05:06" out/old && rm /etc/group
ENV A=b
CMD ["sh", "-c", "echo a && echo b"]
`,
  'a.txt': 'a\n',
  'sub/b.txt': 'b\n',
}
const EPOCH = ['--build-arg', 'SOURCE_DATE_EPOCH=1600000000']
const needs = { root: true, programs: ['dockerd', 'docker', 'runc', 'skopeo', 'podman'] }

describe('outputs', { skip: cannotRun(needs) }, () => {
  let world: World
  let engine: Engine
  let served: Served
  let context: string

  before(async () => {
    world = await createWorld({ base: true })
    context = await world.folder('context', FILES)
    engine = await startNewestEngine()
    served = await world.slipway.serve()
    await engine.docker(['pull', '--quiet', `${served.host}/base:1`])
    await engine.docker(['tag', `${served.host}/base:1`, 'base:1'])
  })
  after(async () => {
    await served?.[Symbol.asyncDispose]()
    await engine?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  const build = (...options: readonly string[]): Promise<string> =>
    world.slipway.run(['build', '--network=host', '-q', ...options, context])

  function requireNewEngine(t: TestContext): boolean {
    if (Number(engine.version.split('.')[0]) >= 28) return true
    if (process.env.CI === 'true') assert.fail(`the engine is ${engine.version}`)
    t.skip(`the engine is ${engine.version}, which knows too little`)
    return false
  }

  it('has the very ID that BuildKit gives the image of the same epoch', async t => {
    if (!requireNewEngine(t)) return
    const theirs = await engine.docker([
      ...['buildx', 'build', '--network=host', '-q', '--provenance=false', ...EPOCH],
      ...['-o', `type=oci,rewrite-timestamp=true,dest=${join(world.scratch, 'theirs.tar')}`, context],
    ])
    assert.equal((await build(...EPOCH)).trim(), theirs.trim())
  })

  it('shows provenance and packages to the engine, which pulls the image beside them', async t => {
    if (!requireNewEngine(t)) return
    await build('-t', 'attested:1', '--provenance=mode=max', '--sbom=true')
    const name = `${served.host}/attested:1`
    const inspect = async (what: string): Promise<Record<string, unknown>> =>
      JSON.parse(
        await engine.docker(['buildx', 'imagetools', 'inspect', name, '--format', `{{json .${what}}}`]),
      )
    const { SLSA } = (await inspect('Provenance')) as { SLSA: { buildDefinition: { buildType: string } } }
    assert.match(SLSA.buildDefinition.buildType, /slsa-definitions/)
    const { SPDX } = (await inspect('SBOM')) as { SPDX: { spdxVersion: string } }
    assert.equal(SPDX.spdxVersion, 'SPDX-2.3')
    await engine.docker(['pull', '--quiet', name])
  })

  for (const [name, options] of [
    ['zstd', 'compression=zstd,force-compression=true,compression-level=19'],
    ['plain', 'compression=uncompressed,force-compression=true'],
    ['docker', 'oci-mediatypes=false'],
  ] as const)
    it(`is read by others with ${options}`, async t => {
      const image = `${served.host}/${name}:1`
      const id = (await build('-t', `${name}:1`, '-o', `type=store,${options}`)).trim()
      const target = `oci:${join(world.scratch, `copied-${name}`)}`
      await succeed('skopeo', [
        '--insecure-policy',
        'copy',
        '--src-tls-verify=false',
        `docker://${image}`,
        target,
      ])
      const podman = podmanIn(join(world.scratch, name))
      await podman(['pull', '-q', '--tls-verify=false', image])
      assert.match(await podman(['image', 'inspect', '--format', '{{.Id}}', image]), new RegExp(id.slice(7)))
      if (requireNewEngine(t)) await engine.docker(['pull', '--quiet', image])
    })
})
