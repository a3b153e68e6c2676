import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { BuildResult } from '../../../src/builder/build-options.ts'
import { BuildError } from '../../../src/builder/errors.ts'
import { DEFAULT_IMAGE_SETTINGS } from '../../../src/builder/export/image-settings.ts'
import { parseImageConfig } from '../../../src/oci/config.ts'
import { graphSource, readContent } from '../../../src/oci/graph.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { formatPlatform, type Platform } from '../../../src/oci/platform.ts'
import type { RepositoryName, Tag } from '../../../src/oci/reference.ts'
import { executed, openWorkshop, type Workshop } from './building.ts'
import { createRegistry } from './images/memory-registry.ts'

const AMD64: Platform = { os: 'linux', architecture: 'amd64' }
const ARM64: Platform = { os: 'linux', architecture: 'arm64' }
const ARMV7: Platform = { os: 'linux', architecture: 'arm', variant: 'v7' }
const BOTH = [AMD64, ARM64]

const CROSS = `FROM --platform=$BUILDPLATFORM scratch AS build
RUN prepare
ARG TARGETARCH
RUN compile
FROM scratch
ARG TARGETPLATFORM
COPY --from=build /made /
COPY shared /
LABEL for=$TARGETPLATFORM
`

describe('build() for several platforms', () => {
  it('makes an index of one image for each, and points the name at it', async () => {
    using workshop = await example()
    const result = await workshop.build(CROSS, { platforms: BOTH, tag: 'app:1' })
    assert.equal(result.descriptor.mediaType, MEDIA_TYPE.ociIndex)
    assert.equal(result.imageID, result.digest)
    assert.equal(workshop.store.metadata.getTag('app' as RepositoryName, '1' as Tag)?.digest, result.digest)
    const images = await readIndex(workshop, result)
    assert.deepEqual(
      images.map(({ platform, config }) => [platform, formatPlatform(config), config.config.Labels?.for]),
      [
        ['linux/amd64', 'linux/amd64', 'linux/amd64'],
        ['linux/arm64', 'linux/arm64', 'linux/arm64'],
      ],
    )
    assert.deepEqual(
      result.images.map(({ platform }) => formatPlatform(platform)),
      ['linux/amd64', 'linux/arm64'],
    )
  })

  it('solves once what is equal for all platforms', async () => {
    using workshop = await example()
    await workshop.build(CROSS, { platforms: BOTH })
    const steps = executed(workshop.events).toSorted()
    assert.deepEqual(
      steps.filter(step => step.startsWith('RUN')),
      ['RUN compile', 'RUN compile', 'RUN prepare'],
    )
    assert.deepEqual(
      workshop.processes.flatMap(({ env }) => env.filter(item => item.startsWith('TARGETARCH'))).toSorted(),
      ['TARGETARCH=amd64', 'TARGETARCH=arm64'],
    )
  })

  it('names the platform of each step', async () => {
    using workshop = await example()
    await workshop.build(CROSS, { platforms: BOTH })
    const names = workshop.events.flatMap(event =>
      event.kind === 'started' || event.kind === 'cached' ? [event.name] : [],
    )
    assert.ok(names.includes('[linux/amd64 build 1/2] RUN prepare'), names.join('\n'))
    assert.ok(names.includes('[linux/arm64 stage-1 2/2] COPY shared /'), names.join('\n'))
  })

  it('gives each image the same bytes as a build of it alone', async () => {
    using workshop = await example()
    const index = await workshop.build(CROSS, { platforms: BOTH })
    const alone = await workshop.build(CROSS, { platforms: [ARM64] })
    assert.equal(alone.descriptor.mediaType, MEDIA_TYPE.ociManifest)
    assert.equal(index.images[1]?.digest, alone.digest)
  })

  it('warns once of what is wrong for every platform', async () => {
    using workshop = await example()
    const { warnings } = await workshop.build('FROM scratch\nLABEL a=$nothing\n', { platforms: BOTH })
    assert.deepEqual(
      warnings.map(({ rule }) => rule),
      ['UndefinedVar'],
    )
  })

  it('takes from each base the image of the platform, asking once for what all share', async () => {
    using workshop = await example()
    const registry = createRegistry()
    workshop.remote = registry
    await registry.publish('docker.io/library/base', '1', [AMD64, ARM64])
    await workshop.build('FROM base:1\nCOPY shared /\n', { platforms: BOTH, tag: 'app' })
    assert.equal(registry.opened.filter(kind => kind === 'layer').length, 3)
    const text = 'FROM --platform=$BUILDPLATFORM base:1 AS tools\nFROM scratch\nCOPY --from=tools /file /\n'
    workshop.events.length = 0
    await workshop.build(text, { platforms: BOTH, pull: true })
    assert.equal(
      workshop.events.filter(event => event.kind === 'started' && /load metadata/.test(event.name)).length,
      1,
    )
  })

  it('says for which platforms a base is there', async () => {
    using workshop = await example()
    const registry = createRegistry()
    workshop.remote = registry
    await registry.publish('docker.io/library/base', '1', [AMD64, ARM64])
    await assert.rejects(workshop.build('FROM base:1\n', { platforms: [AMD64, ARMV7] }), {
      code: 'platform-missing',
      message: /for linux\/arm\/v7: it is there for linux\/amd64, linux\/arm64$/,
    })
  })

  it('runs nothing of a platform that this machine cannot run', async () => {
    using workshop = await example()
    const refused = new BuildError('platform-unsupported', 'Cannot run a step for linux/arm64: no emulator')
    await assert.rejects(
      workshop.build(
        'FROM scratch\nCOPY shared /\nRUN make\n',
        { platforms: BOTH },
        {
          requirePlatform: async platform => {
            if (platform === 'linux/arm64') throw refused
          },
        },
      ),
      (error: unknown) =>
        error instanceof BuildError && error.code === 'platform-unsupported' && error.span?.startLine === 3,
    )
  })

  it('copies for a platform that it cannot run', async () => {
    using workshop = await example()
    const result = await workshop.build(
      'FROM scratch\nWORKDIR /w\nCOPY --chown=7:8 shared .\nADD shared /a\n',
      { platforms: [ARM64] },
      { requirePlatform: () => Promise.reject(new Error('nothing is to be run')) },
    )
    assert.equal((await workshop.config(result)).architecture, 'arm64')
  })

  it('BUILDKIT_MULTI_PLATFORM asks for an index over one image', async () => {
    using workshop = await example()
    const index = await workshop.build('FROM scratch\n', {
      buildArgs: new Map([['BUILDKIT_MULTI_PLATFORM', '1']]),
    })
    assert.equal(index.descriptor.mediaType, MEDIA_TYPE.ociIndex)
    const single = await workshop.build('FROM scratch\n', {
      buildArgs: new Map([['BUILDKIT_MULTI_PLATFORM', 'false']]),
    })
    assert.equal(single.descriptor.mediaType, MEDIA_TYPE.ociManifest)
    await assert.rejects(
      workshop.build('FROM scratch\n', { buildArgs: new Map([['BUILDKIT_MULTI_PLATFORM', 'yes']]) }),
      { code: 'build-option-invalid' },
    )
  })

  it('refuses a docker archive of several platforms before anything is run', async () => {
    using workshop = await example()
    const dest = join(workshop.folder, 'app.tar')
    await assert.rejects(
      workshop.build(CROSS, { platforms: BOTH, outputs: [{ type: 'docker', tar: true, dest }] }),
      { code: 'build-option-invalid', hint: /type=oci/ },
    )
    assert.equal(workshop.processes.length, 0)
  })

  it('annotates an index where there is one', async () => {
    using workshop = await example()
    const annotations = [{ level: 'index', key: 'a', value: 'b' }] as const
    const outputs = [{ type: 'store', settings: { ...DEFAULT_IMAGE_SETTINGS, annotations } }] as const
    const { descriptor } = await workshop.build(CROSS, { platforms: BOTH, outputs })
    const source = graphSource(workshop.store.content)
    const index = parseManifest(await readContent(source, descriptor), descriptor.mediaType)
    assert.deepEqual(index.annotations, { a: 'b' })
    await assert.rejects(workshop.build(CROSS, { platforms: [AMD64], outputs }), {
      code: 'build-option-invalid',
    })
  })

  it('writes an OCI layout that holds the index and all below it', async () => {
    using workshop = await example()
    const dest = join(workshop.folder, 'layout')
    const result = await workshop.build(CROSS, {
      platforms: BOTH,
      outputs: [{ type: 'oci', tar: false, dest }],
    })
    const index = JSON.parse(readFileSync(join(dest, 'index.json'), 'utf8'))
    assert.equal(index.manifests[0].digest, result.digest)
    const blobs = readdirSync(join(dest, 'blobs/sha256'))
    for (const { digest } of [result, ...result.images]) assert.ok(blobs.includes(digest.slice(7)))
  })

  it('lays the files of each platform into a folder of its own', async () => {
    using workshop = await example()
    const dest = join(workshop.folder, 'files')
    const text = 'FROM scratch\nARG TARGETARCH\nCOPY shared /$TARGETARCH\n'
    await workshop.build(text, { platforms: [ARM64, ARMV7], outputs: [{ type: 'local', dest }] })
    assert.deepEqual(readdirSync(dest).toSorted(), ['linux_arm64', 'linux_arm_v7'])
    assert.ok(existsSync(join(dest, 'linux_arm_v7/arm')))
    const merged = join(workshop.folder, 'merged')
    await workshop.build(text, { platforms: BOTH, outputs: [{ type: 'local', dest: merged, split: false }] })
    assert.deepEqual(readdirSync(merged).toSorted(), ['amd64', 'arm64'])
    const one = join(workshop.folder, 'one')
    await workshop.build(text, { platforms: [ARM64], outputs: [{ type: 'local', dest: one, split: true }] })
    assert.deepEqual(readdirSync(one), ['linux_arm64'])
  })

  it('refuses to lay two files of one name into one folder', async () => {
    using workshop = await example()
    const dest = join(workshop.folder, 'files')
    await assert.rejects(
      workshop.build('FROM scratch\nCOPY shared /\n', {
        platforms: BOTH,
        outputs: [{ type: 'local', dest, split: false }],
      }),
      {
        code: 'export-failed',
        message: 'Cannot write /shared of linux/arm64: linux/amd64 has it too',
      },
    )
    assert.equal(existsSync(dest), false)
  })
})

async function example(): Promise<Workshop> {
  const workshop = await openWorkshop()
  workshop.write('shared', 'for all')
  workshop.play = (_process, root) => {
    writeFileSync(join(root, 'made'), 'made by RUN')
    utimesSync(join(root, 'made'), 1_000, 1_000)
    return 0
  }
  return workshop
}

async function readIndex({ store }: Workshop, { descriptor }: BuildResult) {
  const source = graphSource(store.content)
  const index = parseManifest(await readContent(source, descriptor), descriptor.mediaType)
  assert.ok(index.kind === 'index')
  return Promise.all(
    index.manifests.map(async ({ platform, ...child }) => {
      const manifest = parseManifest(await readContent(source, child), child.mediaType)
      assert.ok(manifest.kind === 'image' && platform !== undefined)
      const config = parseImageConfig(await readContent(source, manifest.config))
      return { platform: formatPlatform(platform), config }
    }),
  )
}
