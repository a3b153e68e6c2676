import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings } from '../../../../src/builder/export/image-settings.ts'
import type { Output } from '../../../../src/builder/export/output.ts'
import { readContent } from '../../../../src/oci/graph.ts'
import { type ImageManifest, parseManifest } from '../../../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { readTar } from '../../../../src/oci/tar/reader.ts'
import { readDockerArchive } from '../../../../src/store/archive/docker-archive.ts'
import { openTarArchive } from '../../../../src/store/archive/open-archive.ts'
import { openWorkshop, type Workshop } from '../building.ts'

const { signal } = new AbortController()
const DOCKERFILE = 'FROM scratch\nCOPY a /\nRUN make'

function stored(settings: Partial<ImageSettings>): Output {
  return { type: 'store', settings: { ...DEFAULT_IMAGE_SETTINGS, ...settings } }
}

/** Of the layers of a manifest, what follows the last `+` or `.` of their media types. */
function compressions({ layers }: ImageManifest): readonly string[] {
  return layers.map(({ mediaType }) => /[a-z]+$/.exec(mediaType)?.[0] ?? '')
}

async function diffIDs(workshop: Workshop, result: Awaited<ReturnType<Workshop['build']>>) {
  return (await workshop.config(result)).rootfs.diff_ids
}

describe('build() with compression=', () => {
  it('compresses again what another build made, runs no step for it, and does it once', async () => {
    using workshop = await openWorkshop()
    workshop.write('a', 'content')
    const gzip = await workshop.build(DOCKERFILE)
    assert.deepEqual(compressions(await workshop.manifest(gzip)), ['gzip', 'gzip'])
    const zstd = await workshop.build(DOCKERFILE, { outputs: [stored({ compression: 'zstd' })] })
    assert.deepEqual(compressions(await workshop.manifest(zstd)), ['zstd', 'zstd'])
    assert.deepEqual(await diffIDs(workshop, zstd), await diffIDs(workshop, gzip))
    assert.equal(zstd.imageID, gzip.imageID)
    assert.equal(workshop.processes.length, 1)

    const files = workshop.storeFiles()
    const again = await workshop.build(DOCKERFILE, { outputs: [stored({ compression: 'zstd' })] })
    assert.equal(again.digest, zstd.digest)
    assert.deepEqual(workshop.storeFiles(), files)
    assert.equal((await workshop.build(DOCKERFILE)).digest, gzip.digest)
  })

  it('gzips nothing of a stage that is only read, until an image has it', async () => {
    using workshop = await openWorkshop()
    workshop.write('a', 'content')
    utimesSync(join(workshop.context, 'a'), 1e9, 1e9)
    const stages = 'FROM scratch AS build\nCOPY a /\nRUN make\nFROM scratch\nCOPY --from=build /a /b'
    const layersInStore = () => {
      const records = workshop.store.metadata.findCacheRecords({ description: 'RUN make' }, 10)
      return [...new Set(records.map(({ layer }) => /[a-z]+$/.exec(layer.mediaType)?.[0]))]
    }
    const read = await workshop.build(stages)
    assert.deepEqual(compressions(await workshop.manifest(read)), ['gzip'])
    assert.deepEqual(layersInStore(), ['zstd'])

    const built = await workshop.build(stages, { target: 'build' })
    assert.deepEqual(compressions(await workshop.manifest(built)), ['gzip', 'gzip'])
    assert.equal(workshop.processes.length, 1)
    using other = await openWorkshop()
    other.write('a', 'content')
    utimesSync(join(other.context, 'a'), 1e9, 1e9)
    assert.deepEqual(
      (await other.manifest(await other.build(stages, { target: 'build' }))).layers,
      (await workshop.manifest(built)).layers,
    )
  })

  it('gives the same bytes whether the steps or the output compressed them', async () => {
    using converting = await openWorkshop()
    using direct = await openWorkshop()
    for (const workshop of [converting, direct]) workshop.write('a', 'content')
    await converting.build('FROM scratch\nCOPY a /\n')
    const outputs = [stored({ compression: 'zstd' })]
    const converted = await converting.build('FROM scratch\nCOPY a /\n', { outputs })
    const made = await direct.build('FROM scratch\nCOPY a /\n', { outputs })
    assert.deepEqual(
      (await converting.manifest(converted)).layers.map(({ digest }) => digest),
      (await direct.manifest(made)).layers.map(({ digest }) => digest),
    )
  })

  it('takes a level, and keeps the variants of a layer apart', async () => {
    using workshop = await openWorkshop()
    workshop.write('a', randomBytes(20_000).toString('hex'))
    const sizes: number[] = []
    for (const level of [0, 1, 6, 9]) {
      const result = await workshop.build('FROM scratch\nCOPY a /', {
        outputs: [stored({ compression: 'gzip', level })],
      })
      sizes.push((await workshop.manifest(result)).layers[0]?.size ?? 0)
    }
    const [none = 0, ...compressed] = sizes
    assert.ok(none > 40_000 && compressed.every(size => size < none), sizes.join())
    // Which of them is smallest depends on the content.
    assert.equal(new Set(sizes).size, 4, sizes.join())
  })

  it('leaves the layers of the base as they are, until it is forced', async () => {
    using workshop = await openWorkshop()
    workshop.write('a', 'content')
    await workshop.build('FROM scratch\nCOPY a /', { tag: 'base' })
    const of = async (settings: Partial<ImageSettings>) =>
      compressions(
        await workshop.manifest(
          await workshop.build('FROM base\nCOPY a /b\n', { outputs: [stored(settings)] }),
        ),
      )
    assert.deepEqual(await of({ compression: 'zstd' }), ['gzip', 'zstd'])
    assert.deepEqual(await of({ compression: 'zstd', forceCompression: true }), ['zstd', 'zstd'])
    assert.deepEqual(await of({ compression: 'none', forceCompression: true }), ['tar', 'tar'])
    assert.deepEqual(await of({}), ['gzip', 'gzip'])
  })

  it('writes zstd into an archive for docker where it was asked for', async () => {
    using workshop = await openWorkshop()
    workshop.write('a', 'content')
    const settings = { ...DEFAULT_IMAGE_SETTINGS, compression: 'zstd', mediaTypes: 'docker' } as const
    const dest = join(workshop.folder, 'image.tar')
    await workshop.build('FROM scratch\nCOPY a /', {
      outputs: [{ type: 'docker', tar: true, dest, settings }],
    })
    await using archive = await openTarArchive(dest, index => readDockerArchive(index, signal), signal)
    const [image] = archive.images
    assert.ok(image !== undefined)
    const manifest = parseManifest(await readContent(archive.source, image.descriptor))
    assert.ok(manifest.kind === 'image')
    assert.deepEqual(compressions(manifest), ['zstd'])
  })
})

describe('build() with oci-mediatypes=false', () => {
  it("has Docker's media types over the same config and layers", async () => {
    using workshop = await openWorkshop()
    workshop.write('a', 'content')
    const oci = await workshop.build('FROM scratch\nCOPY a /')
    const docker = await workshop.build('FROM scratch\nCOPY a /', {
      outputs: [stored({ mediaTypes: 'docker' })],
    })
    assert.equal(docker.imageID, oci.imageID)
    const { mediaType, config, layers } = await workshop.manifest(docker)
    assert.equal(docker.descriptor.mediaType, MEDIA_TYPE.dockerManifest)
    assert.equal(mediaType, MEDIA_TYPE.dockerManifest)
    assert.equal(config.mediaType, MEDIA_TYPE.dockerConfig)
    assert.deepEqual(
      layers.map(layer => layer.mediaType),
      [MEDIA_TYPE.dockerLayerGzip],
    )
    assert.equal(layers[0]?.digest, (await workshop.manifest(oci)).layers[0]?.digest)
  })
})

describe('build() with annotation.KEY=', () => {
  it('annotates the manifest and its descriptor, for the platform that is meant', async () => {
    using workshop = await openWorkshop()
    const annotations = [
      { level: 'manifest', key: 'b', value: '1' },
      { level: 'manifest', key: 'a', value: '2' },
      { level: 'manifest', key: 'c', value: '3', platform: { os: 'plan9', architecture: 'mips' } },
      { level: 'manifest-descriptor', key: 'd', value: '4' },
    ] as const
    const result = await workshop.build('FROM scratch\nCOPY <<E /a\nE\n', {
      outputs: [stored({ annotations })],
    })
    const manifest = await workshop.manifest(result)
    assert.deepEqual(manifest.annotations, { a: '2', b: '1' })
    assert.deepEqual(result.descriptor.annotations, { d: '4' })
  })
})

describe('build() with SOURCE_DATE_EPOCH', () => {
  const epoch = 1_600_000_000

  async function times(workshop: Workshop, settings: Partial<ImageSettings>) {
    const result = await workshop.build(
      'FROM base\nCOPY --parents new/ old /',
      {
        outputs: [stored(settings)],
      },
      { sourceDateEpoch: epoch },
    )
    const manifest = await workshop.manifest(result)
    const found: (readonly [string, number])[] = []
    for (const { digest } of manifest.layers) {
      const record = workshop.store.metadata.getLayer(digest)
      assert.ok(record !== undefined)
      for await (const { entry } of readTar(await workshop.store.layers.openTar(record)))
        found.push([entry.path, entry.mtime])
    }
    return { manifest, found }
  }

  it('semantics 96: holds back the times of new layers alone, and keeps older ones', async () => {
    using workshop = await openWorkshop()
    const { utimesSync } = await import('node:fs')
    for (const name of ['base', 'new/file', 'old']) workshop.write(name, name)
    for (const name of ['base', 'new/file', 'new']) utimesSync(join(workshop.context, name), 1.9e9, 1.9e9)
    utimesSync(join(workshop.context, 'old'), 1e9, 1e9)
    await workshop.build('FROM scratch\nCOPY base /', { tag: 'base' })
    const { manifest, found } = await times(workshop, {})
    assert.deepEqual(found, [
      ['base', 1.9e9],
      ['new', epoch],
      ['new/file', epoch],
      ['old', 1e9],
    ])
    assert.deepEqual(
      manifest.layers.map(({ annotations }) => annotations),
      [undefined, { 'buildkit/rewritten-timestamp': String(epoch) }],
    )
    const kept = await times(workshop, { rewriteTimestamp: false })
    assert.deepEqual(kept.found[2], ['new/file', 1.9e9])
    assert.equal(kept.manifest.layers[1]?.annotations, undefined)
  })
})
