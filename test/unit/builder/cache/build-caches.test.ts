/** Builds on one machine and then on another, with nothing between them but a registry, a directory or the image. */
import assert from 'node:assert/strict'
import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CACHE_CONFIG_TYPE, INLINE_CACHE_FIELD } from '../../../../src/builder/cache/cache-document.ts'
import type { CacheSource, CacheTarget } from '../../../../src/builder/cache/cache-end.ts'
import type { Explanation } from '../../../../src/builder/solve/explain.ts'
import { parseImageConfig } from '../../../../src/oci/config.ts'
import { graphSource, readContent } from '../../../../src/oci/graph.ts'
import { jsonBytes } from '../../../../src/oci/json.ts'
import { type ImageManifest, parseManifest } from '../../../../src/oci/manifest.ts'
import { LATEST, parseReference } from '../../../../src/oci/reference.ts'
import { executed, openWorkshop, type Workshop } from '../building.ts'
import { createRegistry } from '../images/memory-registry.ts'

const DOCKERFILE = `FROM scratch AS build
COPY a b /src/
ARG TOKEN=none
RUN make
FROM scratch
COPY --from=build /made /out
RUN finish
CMD ["/out"]
`

const REGISTRY: CacheSource = { type: 'registry', reference: parseReference('host.test/team/app:cache') }
const artifact = (mode: 'min' | 'max', more = {}): CacheTarget => ({
  type: 'registry',
  reference: parseReference('host.test/team/app:cache'),
  mode,
  ignoresErrors: false,
  ...more,
})

describe('caches of other machines', () => {
  for (const mode of ['min', 'max'] as const)
    it(`with mode=${mode} make the same build execute nothing and give the same digest`, async () => {
      const registry = createRegistry()
      using first = await machine(registry)
      using second = await machine(registry)
      const made = await first.build(DOCKERFILE, { cacheTo: [artifact(mode)] })
      const again = await second.build(DOCKERFILE, { cacheFrom: [REGISTRY] })
      assert.deepEqual(executed(second.events), [])
      assert.equal(second.processes.length, 0)
      assert.equal(again.digest, made.digest)
      const { layers } = cacheManifest(registry)
      assert.equal(layers.length, mode === 'min' ? 2 : 4)
      assert.equal(registry.opened.filter(kind => kind === 'layer').length, 2, 'only those of the image')
    })

  it('in a directory, and in a name of our own, do as well', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    const directory = join(first.folder, 'cache')
    const form = { mode: 'min', ignoresErrors: false } as const
    const own = parseReference('team/cache')
    const made = await first.build(DOCKERFILE, {
      cacheTo: [
        { type: 'local', directory, tag: LATEST, ...form },
        { type: 'registry', reference: own, ...form },
      ],
    })
    const cacheFrom: CacheSource[] = [{ type: 'local', directory, name: { tag: LATEST } }]
    assert.equal((await second.build(DOCKERFILE, { cacheFrom })).digest, made.digest)
    assert.equal(second.processes.length, 0)
    first.store.metadata.deleteCacheRecords()
    const again = await first.build(DOCKERFILE, { cacheFrom: [{ type: 'registry', reference: own }] })
    assert.equal(again.digest, made.digest)
    assert.equal(first.processes.length, 2)
  })

  it('within the image make the same build execute nothing; the image says nothing else', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    const plain = await first.build(DOCKERFILE)
    const made = await first.build(DOCKERFILE, { tag: 'app', cacheTo: [{ type: 'inline' }] })
    await push(first, registry, made.descriptor)
    const options = { buildArgs: new Map([['BUILDKIT_INLINE_CACHE', '1']]) }
    const again = await second.build(DOCKERFILE, { ...options, cacheFrom: [REGISTRY] })
    assert.deepEqual(executed(second.events), [])
    assert.equal(again.digest, made.digest)
    const { [INLINE_CACHE_FIELD]: own, ...unknown } = (await first.config(made)).unknown
    assert.ok(own !== undefined)
    const { unknown: before, ...config } = await first.config(plain)
    assert.deepEqual(unknown, before)
    assert.deepEqual({ ...(await first.config(made)), unknown: 0 }, { ...config, unknown: 0 })
    const child = await first.build('FROM app\nLABEL a=b')
    assert.deepEqual((await first.config(child)).unknown, {}, 'what is built on it says nothing of its build')
  })

  it('within an image whose times were held back do the same, and the next machine passes it on', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    using third = await machine(registry)
    const deps = { sourceDateEpoch: 1_000_000_000 }
    const options = { cacheTo: [{ type: 'inline' } as const] }
    const made = await first.build(DOCKERFILE, options, deps)
    const [diffID] = (await first.config(made)).rootfs.diff_ids
    const inBuild = await first.config(await first.build(DOCKERFILE))
    assert.notEqual(inBuild.rootfs.diff_ids[0], diffID, 'the layers were rewritten')
    let last = { machine: first, image: made }
    for (const next of [second, third]) {
      await push(last.machine, registry, last.image.descriptor)
      const image = await next.build(DOCKERFILE, { ...options, cacheFrom: [REGISTRY] }, deps)
      assert.deepEqual(executed(next.events), [])
      assert.equal(image.digest, made.digest)
      last = { machine: next, image }
    }
  })

  it('with layers compressed otherwise give the same image', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    const made = await first.build(DOCKERFILE, { cacheTo: [artifact('max', { compression: 'zstd' })] })
    assert.ok(cacheManifest(registry).layers.every(({ mediaType }) => mediaType.endsWith('+zstd')))
    assert.equal((await second.build(DOCKERFILE, { cacheFrom: [REGISTRY] })).digest, made.digest)
    assert.deepEqual(executed(second.events), [])
  })

  it('are passed on by a machine that executed nothing', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    using third = await machine(registry)
    await first.build(DOCKERFILE, { cacheTo: [artifact('max')] })
    const before = cacheManifest(registry)
    await second.build(DOCKERFILE, { cacheFrom: [REGISTRY], cacheTo: [artifact('max')] })
    assert.deepEqual(cacheManifest(registry), before)
    third.write('b', 'changed, but what make makes is the same')
    await third.build(DOCKERFILE, { cacheFrom: [REGISTRY] })
    assert.deepEqual(executed(third.events), ['COPY a b /src/', 'RUN make'])
  })

  it('fit to steps of our own that made the same at another time', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    utimesSync(join(second.context, 'a'), 5, 5)
    const begun = DOCKERFILE.slice(0, DOCKERFILE.indexOf('FROM', 1)).replace('RUN make', 'RUN other')
    await second.build(begun)
    await first.build(DOCKERFILE, { cacheTo: [artifact('max')] })
    second.events.length = 0
    await second.build(DOCKERFILE, { cacheFrom: [REGISTRY] })
    assert.deepEqual(executed(second.events), [])
    const layersOf = async (workshop: Workshop) =>
      (await workshop.manifest(await workshop.build(DOCKERFILE, { target: 'build' }))).layers.length
    assert.equal(await layersOf(second), await layersOf(first))
  })

  it('with mode=min execute what the image does not hold, when something has to be made of it', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    await first.build(DOCKERFILE, { cacheTo: [artifact('min')] })
    const text = DOCKERFILE.replace('/made /out', '/made /elsewhere')
    const told: Explanation[] = []
    const explain = (explanation: Explanation) => void told.push(explanation)
    await second.build(text, { cacheFrom: [REGISTRY] }, { explain })
    assert.deepEqual(
      told.map(({ reason }) => reason.kind),
      ['layer-elsewhere', 'layer-elsewhere', 'changed', 'changed'],
    )
    assert.deepEqual(
      second.processes.map(({ args }) => args.at(-1)),
      ['make', 'finish'],
    )
    assert.ok(!second.events.some(({ kind }) => kind === 'failed' || kind === 'warning'))
    const plain = await first.build(text)
    assert.equal((await first.manifest(plain)).layers.length, 2)
  })

  it('become our own as far as their layers are fetched', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    await first.build(DOCKERFILE, { cacheTo: [artifact('max')] })
    await second.build(DOCKERFILE, { cacheFrom: [REGISTRY] })
    const text = DOCKERFILE.slice(0, DOCKERFILE.indexOf('CMD'))
    await second.build(text, { cacheFrom: [REGISTRY], target: 'build' })
    await second.build(text)
    assert.equal(second.processes.length, 0)
  })

  it('are told by --explain, with what differs from their steps', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    await first.build(DOCKERFILE, {
      cacheTo: [artifact('max')],
      buildArgs: new Map([['TOKEN', 'hunter2']]),
    })
    const told: Explanation[] = []
    await second.build(
      DOCKERFILE,
      { cacheFrom: [REGISTRY], buildArgs: new Map([['TOKEN', 'hunter3']]) },
      { explain: explanation => void told.push(explanation) },
    )
    assert.deepEqual(
      told.map(({ reason }) => reason.kind),
      ['imported', 'changed', 'imported', 'imported'],
    )
    const changed = told[1]?.reason
    assert.ok(changed?.kind === 'changed')
    const after = new Set(changed.before.map(part => part.join('=')))
    assert.deepEqual(
      changed.after.filter(part => !after.has(part.join('='))).map(([, value]) => value?.slice(0, 7)),
      ['TOKEN=#'],
    )
  })

  it('tell no value of an argument', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    await first.build(DOCKERFILE, {
      cacheTo: [artifact('max')],
      buildArgs: new Map([['TOKEN', 'hunter2']]),
    })
    const { config } = cacheManifest(registry)
    const document = registry.read(config.digest)?.toString() ?? ''
    assert.match(document, /TOKEN=#[0-9a-f]{8}"/)
    assert.doesNotMatch(document, /hunter2/)
  })

  it('are done without where they are not there, broken, or of another builder', async () => {
    const registry = createRegistry()
    using workshop = await machine(registry)
    const warnings = () => workshop.events.flatMap(event => (event.kind === 'warning' ? [event.text] : []))
    const notes = () => workshop.events.flatMap(event => (event.kind === 'status' ? [event.text] : []))
    const local: CacheSource = {
      type: 'local',
      directory: join(workshop.folder, 'no'),
      name: { tag: LATEST },
    }
    await workshop.build(DOCKERFILE, { cacheFrom: [REGISTRY, local] })
    assert.deepEqual(notes().filter(text => text === 'there is no cache yet').length, 2)
    assert.deepEqual(warnings(), [])

    const put = (document: unknown, mediaType = CACHE_CONFIG_TYPE) => {
      const config = registry.put(jsonBytes(document), mediaType)
      registry.tag('host.test/team/app', 'cache', registry.putManifest({ config, layers: [] }))
    }
    put({ version: 1, steps: [{ key: 'no' }] })
    await workshop.build(DOCKERFILE, { cacheFrom: [REGISTRY] })
    assert.match(
      warnings().join(),
      /Cannot import cache from host.test\/team\/app:cache: .*step 0 has no key/,
    )
    put([], 'application/vnd.buildkit.cacheconfig.v0')
    await workshop.build(DOCKERFILE, { cacheFrom: [REGISTRY] })
    assert.match(notes().join(), /this cache is BuildKit's/)
    registry.isDown = true
    await workshop.build(DOCKERFILE, { cacheFrom: [REGISTRY] })
    assert.match(warnings().join(), /connection refused/)
  })

  for (const [what, spoil] of Object.entries({
    'is gone': registry => registry.forget(lastLayer(registry).digest),
    'is another than was promised': registry =>
      respell(registry, text => text.replaceAll(/"diffID":"sha256:./g, '"diffID":"sha256:0')),
  } satisfies Record<string, (registry: Registry) => void>))
    it(`whose layer ${what} are warned of, and their steps executed`, async () => {
      const registry = createRegistry()
      using first = await machine(registry)
      using second = await machine(registry)
      await first.build(DOCKERFILE, { cacheTo: [artifact('max')] })
      spoil(registry)
      const made = await second.build(DOCKERFILE, { cacheFrom: [REGISTRY] })
      assert.ok(second.processes.length > 0)
      assert.ok(second.events.some(event => event.kind === 'warning' && /of the cache host/.test(event.text)))
      assert.deepEqual(
        second.events.filter(event => event.kind === 'failed'),
        [],
      )
      const plain = await second.build(DOCKERFILE)
      assert.equal(plain.digest, made.digest)
    })

  it('that cannot be written fail the build, unless that does not matter', async () => {
    const registry = createRegistry()
    using workshop = await machine(registry)
    registry.isDown = true
    await assert.rejects(workshop.build(DOCKERFILE, { tag: 'app', cacheTo: [artifact('max')] }), {
      code: 'denied',
    })
    await workshop.build(DOCKERFILE, { cacheTo: [artifact('max', { ignoresErrors: true })] })
    const last = workshop.events.findLast(event => event.kind === 'warning')
    assert.match(last?.text ?? '', /Cannot export cache to host.test\/team\/app:cache: /)
  })

  it('do not come in the way of --no-cache', async () => {
    const registry = createRegistry()
    using first = await machine(registry)
    using second = await machine(registry)
    await first.build(DOCKERFILE, { cacheTo: [artifact('max')] })
    await second.build(DOCKERFILE, { cacheFrom: [REGISTRY], noCache: true })
    assert.equal(executed(second.events).length, 4)
  })
})

type Registry = ReturnType<typeof createRegistry>

async function machine(registry: Registry): Promise<Workshop> {
  const workshop = await openWorkshop()
  workshop.remote = registry
  workshop.write('a', 'a')
  workshop.write('b', 'b')
  workshop.play = ({ args }, root) => {
    writeFileSync(join(root, args.at(-1) === 'make' ? 'made' : 'finished'), 'same')
    return 0
  }
  return workshop
}

function cacheManifest(registry: Registry): ImageManifest {
  const root = registry.resolve('host.test/team/app', 'cache')
  const manifest = parseManifest(registry.read(root?.digest as never) ?? Buffer.from(''))
  assert.ok(manifest.kind === 'image')
  return manifest
}

function lastLayer(registry: Registry) {
  const { config } = cacheManifest(registry)
  const { steps } = JSON.parse(registry.read(config.digest)?.toString() ?? '')
  return steps.find((step: { description: string }) => step.description === 'RUN finish').layer
}

/** Tells another story of the same layers. */
function respell(registry: Registry, change: (document: string) => string): void {
  const { config, layers } = cacheManifest(registry)
  const text = change(registry.read(config.digest)?.toString() ?? '')
  const other = registry.put(Buffer.from(text), config.mediaType)
  registry.tag('host.test/team/app', 'cache', registry.putManifest({ config: other, layers }))
}

async function push({ store }: Workshop, registry: Registry, root: ImageManifest['config']): Promise<void> {
  const source = graphSource(store.content)
  const bytes = await readContent(source, root)
  const manifest = parseManifest(bytes, root.mediaType)
  assert.ok(manifest.kind === 'image')
  for (const { digest, mediaType, size } of [manifest.config, ...manifest.layers])
    registry.put(await readContent(source, { digest, mediaType, size }), mediaType, 'layer')
  parseImageConfig(await readContent(source, manifest.config))
  registry.put(bytes, root.mediaType)
  registry.tag('host.test/team/app', 'cache', root)
}
