import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { pack } from 'tar-stream'
import { digestOf } from '../../src/oci/digest.ts'
import { type Distribution, startDistribution } from './support/distribution.ts'
import { type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

/** A package manager: slow without its cache, and it owns its files. */
const INSTALL = `if [ -e /cache/pkg/a ]; then echo FROM-CACHE; else mkdir /cache/pkg; chown 7:8 /cache/pkg; \
echo content > /cache/pkg/a; chmod 640 /cache/pkg/a; ln /cache/pkg/a /cache/pkg/b; ln -s a /cache/pkg/link; \
chmod 1777 /cache; echo DOWNLOADED; fi; echo $N; stat -c '%a %u %g %h %N' /cache /cache/pkg /cache/pkg/*`

describe('cache mounts between machines', {
  skip: cannotRun({ root: true, programs: ['runc', 'docker-registry'] }),
}, () => {
  let world: World
  let registry: Distribution
  let context: string
  let listed: string
  let machines = 0

  /** With an empty store but for the base. */
  const machine = async (): Promise<Slipway> => {
    const slipway = slipwayAt(join(world.scratch, `machine-${machines++}`))
    await slipway.run(['import', join(world.scratch, 'base.tar'), 'base:1'])
    return slipway
  }
  /** @param run another value makes the step one that is in no cache */
  const build = async (slipway: Slipway, run: number, ...options: string[]): Promise<string> => {
    const shared = ['--network=host', '--progress=plain', `--build-arg=N=${run}`]
    const { code, stderr } = await slipway.try(['build', ...shared, ...options, context])
    assert.equal(code, 0, stderr)
    return stderr
  }
  const statsOf = (printed: string): string =>
    [...printed.matchAll(/^#\d+ [\d.]+ (\d+ \d+ \d+ \d+ .*)$/gm)].map(([, line]) => line).join('\n')

  before(async () => {
    world = await createWorld({ base: true })
    registry = await startDistribution(join(world.scratch, 'distribution'))
    context = await world.folder('context', {
      Dockerfile: `FROM base:1
ARG N
RUN --mount=type=cache,target=/cache --mount=type=cache,id=other,target=/other ${INSTALL}; echo $N > /other/n
`,
    })
    const first = await build(
      world.slipway,
      1,
      `--cache-to=type=registry,ref=${registry.host}/app:cache,cache-mounts=true`,
      `--cache-to=type=local,dest=${world.scratch}/cache,"cache-mounts=/cache,none",compression=gzip`,
    )
    assert.match(first, / DOWNLOADED$/m)
    assert.match(first, /cache mount other: \d+\.\d MB$/m)
    listed = statsOf(await build(world.slipway, 2))
    assert.match(listed, /^1777 0 0 3 \/cache\n755 7 8 2 \/cache\/pkg\n640 0 0 2 \/cache\/pkg\/a\n/)
  })
  after(async () => {
    await registry?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  for (const [where, source] of [
    ['a registry', () => `type=registry,ref=${registry.host}/app:cache,cache-mounts=true`],
    ['a directory', () => `type=local,src=${world.scratch}/cache,cache-mounts=true`],
  ] as const) {
    it(`a machine finds in ${where} what another has filled, with its owners and modes`, async () => {
      const slipway = await machine()
      const printed = await build(slipway, 3, `--cache-from=${source()}`)
      assert.match(printed, / FROM-CACHE$/m)
      assert.equal(statsOf(printed), listed)
    })
  }

  it('nothing of it is taken unasked', async () => {
    const unasked = await build(await machine(), 4, `--cache-from=${registry.host}/app:cache`)
    assert.match(unasked, / DOWNLOADED$/m)
  })

  it('what a machine has itself stays as it is', async () => {
    const slipway = await machine()
    await build(slipway, 6)
    const printed = await build(
      slipway,
      7,
      `--cache-from=type=registry,ref=${registry.host}/app:cache,cache-mounts=true`,
    )
    assert.match(printed, / FROM-CACHE$/m)
    assert.doesNotMatch(printed, /begins with/)
  })

  it('a build that executes nothing passes on what it was given, and the same is the same', async () => {
    const slipway = await machine()
    const from = `--cache-from=type=local,src=${world.scratch}/cache,"cache-mounts=/cache"`
    const to = (name: string) =>
      `--cache-to=type=local,dest=${world.scratch}/${name},cache-mounts=true,compression=gzip`
    const cached = await build(slipway, 1, from, to('on'))
    assert.match(cached, / CACHED$/m)
    // The same after it was unpacked and packed again.
    const executed = await machine()
    await build(executed, 9, from)
    await build(executed, 1, from, to('again'))
    const layers = async (name: string): Promise<unknown> => {
      const index = JSON.parse(await readFile(join(world.scratch, name, 'index.json'), 'utf8'))
      const read = async (digest: string) =>
        JSON.parse(await readFile(join(world.scratch, name, 'blobs', digest.replace(':', '/')), 'utf8'))
      const manifest = await read(index.manifests[0].digest)
      const { mounts } = await read(manifest.config.digest)
      return mounts.filter(({ id }: { id: string }) => id === '/cache')
    }
    assert.deepEqual(await layers('again'), await layers('on'))
  })

  /** The same cache in a directory of its own, with other layers for its mounts. */
  async function tampered(name: string, layerOf: (blob: (digest: string) => string) => Promise<object>) {
    const directory = join(world.scratch, name)
    await cp(join(world.scratch, 'cache'), directory, { recursive: true })
    const blob = (digest: string): string => join(directory, 'blobs', digest.replace(':', '/'))
    const put = async (value: object): Promise<{ digest: string; size: number }> => {
      const bytes = Buffer.from(JSON.stringify(value))
      await writeFile(blob(digestOf(bytes)), bytes)
      return { digest: digestOf(bytes), size: bytes.length }
    }
    const read = async (path: string) => JSON.parse(await readFile(path, 'utf8'))
    const index = await read(join(directory, 'index.json'))
    const manifest = await read(blob(index.manifests[0].digest))
    const config = await read(blob(manifest.config.digest))
    for (const mount of config.mounts) mount.layer = await layerOf(blob)
    const layers = config.mounts.map(({ layer }: { layer: object }) => layer)
    Object.assign(manifest.config, await put(config))
    manifest.layers = [
      ...manifest.layers,
      ...layers.map(({ diffID: _, ...layer }: { diffID: string }) => layer),
    ]
    Object.assign(index.manifests[0], await put(manifest))
    await writeFile(join(directory, 'index.json'), JSON.stringify(index))
    return `--cache-from=type=local,src=${directory},cache-mounts=true`
  }
  const assertBeginsEmpty = async (run: number, from: string): Promise<void> => {
    const printed = await build(await machine(), run, from)
    assert.match(printed, / DOWNLOADED$/m)
    assert.match(printed, /warning: Cannot use the cache mount \/cache of .*:latest, so it begins without/)
  }
  const mediaType = 'application/vnd.oci.image.layer.v1.tar'

  it('one that lost them is warned of, and the mount begins empty', async () => {
    const digest = digestOf('lost')
    const from = await tampered('lost', async () => ({ mediaType, digest, size: 4, diffID: digest }))
    await assertBeginsEmpty(10, from)
  })

  it('one that leads out of the mount is refused, and nothing is outside of it', async () => {
    const target = join(world.scratch, 'outside')
    const from = await tampered('hostile', async blob => {
      const archive = pack()
      archive.entry({ name: 'out', type: 'symlink', linkname: world.scratch })
      archive.entry({ name: 'out/outside' }, 'x')
      archive.entry({ name: `../../../../..${target}` }, 'x')
      archive.finalize()
      const bytes = await buffer(archive)
      const digest = digestOf(bytes)
      await writeFile(blob(digest), bytes)
      return { mediaType, digest, size: bytes.length, diffID: digest }
    })
    await assertBeginsEmpty(11, from)
    assert.equal(existsSync(target), false)
  })
})
