import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Distribution, startDistribution } from './support/distribution.ts'
import { succeed } from './support/process.ts'
import { type Served, type Slipway, slipwayAt } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

describe('a cache between machines', {
  skip: cannotRun({ root: true, programs: ['runc', 'docker-registry', 'skopeo'] }),
}, () => {
  let world: World
  let server: Served
  let distribution: Distribution
  let context: string
  let first: Built
  let machines = 0

  /** With an empty store. */
  const freshMachine = (): Slipway => slipwayAt(join(world.scratch, `machine-${machines++}`))
  const build = async (slipway: Slipway, ...options: string[]): Promise<Built> => {
    const { code, stderr } = await slipway.try([
      'build',
      '--network=host',
      '--progress=plain',
      ...options,
      context,
    ])
    assert.equal(code, 0, stderr)
    return { printed: stderr, digest: /^digest +(\S+)$/m.exec(stderr)?.[1], steps: steps(stderr) }
  }
  /** With a runtime that can run nothing. */
  const executesNothing = async (...options: string[]): Promise<void> => {
    const again = await build(freshMachine(), '--runtime=false', '--explain', ...options)
    assert.deepEqual(again.steps, { CACHED: 5, DONE: 0 }, again.printed)
    assert.equal(again.digest, first.digest)
    assert.match(again.printed, /Steps from other caches:\n[\s\S]*\[build 2\/3\] COPY/)
  }

  before(async () => {
    world = await createWorld({ base: true })
    server = await world.slipway.serve()
    distribution = await startDistribution(join(world.scratch, 'distribution'))
    context = await world.folder('context', {
      Dockerfile: `FROM ${server.host}/base:1 AS build
COPY a.txt /src/
RUN cat /src/a.txt > /made; date > /when
FROM ${server.host}/base:1
RUN touch /begun
COPY --from=build /made /out
RUN test -e /out && touch /done
CMD ["cat", "/out"]
`,
      'a.txt': 'a\n',
    })
    const targets = (mode: string) => [
      `--cache-to=type=registry,ref=${server.host}/cache/app:${mode},mode=${mode}`,
      `--cache-to=type=registry,ref=${distribution.host}/cache/app:${mode},mode=${mode},image-manifest=true,oci-mediatypes=true`,
      `--cache-to=type=local,dest=${world.scratch}/cache,tag=${mode},mode=${mode},compression=zstd`,
    ]
    first = await build(world.slipway, ...targets('min'), ...targets('max'))
    assert.deepEqual(first.steps, { CACHED: 0, DONE: 5 })
  })
  after(async () => {
    await distribution?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  for (const mode of ['min', 'max']) {
    it(`by way of our registry, mode=${mode}`, () =>
      executesNothing(`--cache-from=${server.host}/cache/app:${mode}`))
    it(`by way of another registry, mode=${mode}`, () =>
      executesNothing(`--cache-from=type=registry,ref=${distribution.host}/cache/app:${mode}`))
    it(`by way of a directory, mode=${mode}`, () =>
      executesNothing(`--cache-from=type=local,src=${world.scratch}/cache,tag=${mode}`))
  }

  it('within the image, which others read as before', async () => {
    const made = await build(world.slipway, '-t', 'inline', '--build-arg', 'BUILDKIT_INLINE_CACHE=1')
    const again = await build(
      freshMachine(),
      '--runtime=false',
      `--cache-from=${server.host}/inline`,
      '--cache-to=type=inline',
    )
    assert.deepEqual(again.steps, { CACHED: 5, DONE: 0 }, again.printed)
    assert.equal(again.digest, made.digest)
    const config = JSON.parse(
      await succeed('skopeo', [
        'inspect',
        '--config',
        '--tls-verify=false',
        `docker://${server.host}/inline`,
      ]),
    )
    assert.deepEqual(config.config.Cmd, ['cat', '/out'])
  })

  it('downloads no layer that nothing reads, not even of the base', async () => {
    const machine = freshMachine()
    const found = await build(
      machine,
      '--runtime=false',
      '--output=type=cacheonly',
      `--cache-from=${server.host}/cache/app:min`,
    )
    assert.deepEqual(found.steps, { CACHED: 5, DONE: 0 })
    assert.deepEqual(blobsOf(machine), [])
  })

  it('stands among the images as what is none', async () => {
    const listed = await world.slipway.run(['images'])
    assert.match(listed, /^cache\/app +max +[0-9a-f]{12} +- +- +-$/m)
    assert.match(listed, /^base +1 /m)
  })

  it('executes from the first change on', async () => {
    const machine = freshMachine()
    await writeFile(join(context, 'Dockerfile.changed'), await changedDockerfile(context))
    const again = await build(
      machine,
      `--file=${join(context, 'Dockerfile.changed')}`,
      `--cache-from=${server.host}/cache/app:max`,
      `--cache-from=${server.host}/cache/none`,
    )
    assert.deepEqual(again.steps, { CACHED: 4, DONE: 1 }, again.printed)
    assert.match(again.printed, /there is no cache yet/)
  })

  it('refuses caches of other services by name', async () => {
    for (const type of ['gha', 's3', 'azblob']) {
      const { code, stderr } = await world.slipway.try(['build', `--cache-to=type=${type}`, context])
      assert.equal(code, 2)
      assert.match(stderr, new RegExp(`--cache-to type=${type} is not supported: `))
    }
  })
})

interface Built {
  readonly printed: string
  readonly digest: string | undefined
  readonly steps: ReturnType<typeof steps>
}

/** How the steps that make layers ended. */
function steps(printed: string): { CACHED: number; DONE: number } {
  const layered = new Set(
    Array.from(printed.matchAll(/^#(\d+) \[[^\]]*\] (?:RUN|COPY)/gm), match => match[1]),
  )
  const ended = (word: string): number =>
    Array.from(printed.matchAll(new RegExp(`^#(\\d+) ${word}`, 'gm'))).filter(match => layered.has(match[1]))
      .length
  return { CACHED: ended('CACHED'), DONE: ended('DONE') }
}

function blobsOf({ root }: Slipway): readonly string[] {
  return readdirSync(join(root, 'blobs'), { recursive: true, encoding: 'utf8' }).filter(
    name => name.length > 60,
  )
}

async function changedDockerfile(context: string): Promise<string> {
  return (await readFile(join(context, 'Dockerfile'), 'utf8')).replace('touch /done', 'touch /finished')
}
