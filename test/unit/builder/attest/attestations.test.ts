import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DEFAULT_IMAGE_SETTINGS } from '../../../../src/builder/export/image-settings.ts'
import { digestHex } from '../../../../src/oci/digest.ts'
import { graphSource, readContent } from '../../../../src/oci/graph.ts'
import { parseManifest } from '../../../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { openWorkshop, type Workshop } from '../building.ts'

const MIN = { mode: 'min', builderID: 'urn:builder' } as const
const MAX = { mode: 'max', builderID: 'urn:builder' } as const
const DOCKERFILE = `FROM base:1
ARG COLOR=red
COPY a /
RUN --mount=type=secret,id=token,env=TOKEN make
`

type Statement = {
  readonly _type: string
  readonly predicateType: string
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[]
  // biome-ignore lint/suspicious/noExplicitAny: the documents are what is tested
  readonly predicate: any
}

async function attested(workshop: Workshop, result: Awaited<ReturnType<Workshop['build']>>) {
  const source = graphSource(workshop.store.content)
  const index = parseManifest(await readContent(source, result.descriptor), result.descriptor.mediaType)
  assert.ok(index.kind === 'index')
  const [image, attestation, ...others] = index.manifests
  assert.ok(image !== undefined && attestation !== undefined)
  assert.equal(others.length, 0)
  const manifest = parseManifest(await readContent(source, attestation))
  assert.ok(manifest.kind === 'image')
  const texts = await Promise.all(
    manifest.layers.map(async layer => (await readContent(source, layer)).toString()),
  )
  const config = JSON.parse((await readContent(source, manifest.config)).toString())
  const statements = texts.map((text): Statement => JSON.parse(text))
  return { image, attestation, manifest, config, texts, statements }
}

async function withBase(): Promise<Workshop> {
  const workshop = await openWorkshop()
  workshop.write('a', 'content')
  await workshop.build('FROM scratch\nCOPY a /base\n', { tag: 'base:1' })
  return workshop
}

describe('build() with attestations', () => {
  it('makes an index with a manifest for no platform beside the image, as BuildKit does', async () => {
    using workshop = await withBase()
    const plain = await workshop.build(DOCKERFILE)
    assert.equal(plain.descriptor.mediaType, MEDIA_TYPE.ociManifest)
    const result = await workshop.build(DOCKERFILE, {
      tag: 'app:2',
      attestations: { provenance: MIN, sbom: true },
    })
    assert.equal(result.imageID, plain.imageID)
    const { image, attestation, manifest, config, statements } = await attested(workshop, result)
    assert.equal(image.digest, plain.digest)
    assert.deepEqual(attestation.platform, { os: 'unknown', architecture: 'unknown' })
    assert.deepEqual(attestation.annotations, {
      'vnd.docker.reference.digest': image.digest,
      'vnd.docker.reference.type': 'attestation-manifest',
    })
    assert.deepEqual(
      manifest.layers.map(({ mediaType, annotations }) => [
        mediaType,
        annotations?.['in-toto.io/predicate-type'],
      ]),
      [
        ['application/vnd.in-toto+json', 'https://spdx.dev/Document'],
        ['application/vnd.in-toto+json', 'https://slsa.dev/provenance/v1'],
      ],
    )
    assert.deepEqual(config, {
      architecture: 'unknown',
      os: 'unknown',
      config: {},
      rootfs: { type: 'layers', diff_ids: manifest.layers.map(({ digest }) => digest) },
    })
    for (const { _type, subject } of statements) {
      assert.equal(_type, 'https://in-toto.io/Statement/v0.1')
      assert.equal(subject[0]?.name, 'pkg:docker/app@2?platform=linux%2Famd64')
      assert.equal(subject[0]?.digest.sha256, digestHex(image.digest))
    }
    await workshop.build('FROM app:2\nCOPY a /on-top\n')
  })

  it('tells in provenance what was built from, and in mode max also how; no value of a secret', async () => {
    using workshop = await withBase()
    const options: Parameters<Workshop['build']>[1] = {
      buildArgs: new Map([
        ['COLOR', 'blue-value'],
        ['HTTPS_PROXY', 'http://user:proxy-password@host'],
      ]),
      secrets: new Map([['token', { kind: 'value', value: 'the-secret-value' }]]),
    }
    const build = async (provenance: typeof MIN | typeof MAX) =>
      attested(workshop, await workshop.build(DOCKERFILE, { ...options, attestations: { provenance } }))
    const min = await build(MIN)
    const { buildDefinition, runDetails } = min.statements[0]?.predicate ?? {}
    assert.deepEqual(buildDefinition.externalParameters, {
      configSource: { path: 'Dockerfile' },
      request: {
        frontend: 'dockerfile.v0',
        args: {},
        locals: [{ name: 'context' }, { name: 'dockerfile' }],
      },
    })
    assert.match(buildDefinition.resolvedDependencies[0].uri, /^pkg:docker\/base@1\?platform=linux%2F/)
    assert.match(buildDefinition.resolvedDependencies[0].digest.sha256, /^[0-9a-f]{64}$/)
    assert.deepEqual(runDetails.builder, { id: 'urn:builder' })
    assert.deepEqual(runDetails.metadata.buildkit_completeness, {
      request: false,
      resolvedDependencies: false,
    })
    for (const hidden of ['blue-value', 'token', 'proxy-password', 'the-secret-value'])
      assert.ok(!min.texts.join().includes(hidden), hidden)

    const max = await build(MAX)
    const { predicate } = max.statements[0] ?? {}
    const { request } = predicate.buildDefinition.externalParameters
    assert.deepEqual(request.args, { 'build-arg:COLOR': 'blue-value' })
    assert.deepEqual(request.secrets, [{ id: 'token', optional: true }])
    const steps = predicate.buildDefinition.internalParameters.buildConfig.llbDefinition
    assert.deepEqual(
      steps.map(({ id, name, inputs }: { id: string; name: string; inputs?: string[] }) => [
        id,
        name.replace(/sha256:.*/, ''),
        inputs,
      ]),
      [
        ['step0', '[1/3] FROM base:1@', undefined],
        ['step1', '[2/3] COPY a /', ['step0:0']],
        ['step2', '[3/3] RUN --mount=type=secret,id=token,env=TOKEN make', ['step1:0']],
      ],
    )
    const { infos, locations } = predicate.runDetails.metadata.buildkit_metadata.source
    assert.equal(Buffer.from(infos[0].data, 'base64').toString(), DOCKERFILE)
    assert.deepEqual(locations.step1.locations[0].ranges[0], { start: { line: 3 }, end: { line: 3 } })
    for (const hidden of ['proxy-password', 'the-secret-value'])
      assert.ok(!max.texts.join().includes(hidden), hidden)
  })

  it('stand behind the images of all platforms, each with its own', async () => {
    using workshop = await openWorkshop()
    workshop.write('a', 'content')
    const platforms = [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm64' },
    ]
    const result = await workshop.build('FROM scratch\nCOPY a /\n', {
      platforms,
      attestations: { provenance: MIN },
    })
    const source = graphSource(workshop.store.content)
    const index = parseManifest(await readContent(source, result.descriptor))
    assert.ok(index.kind === 'index')
    const [amd64, arm64, ofAmd64, ofArm64] = index.manifests
    assert.equal(index.manifests.length, 4)
    assert.deepEqual([amd64?.platform, arm64?.platform], platforms)
    for (const [attestation, image] of [
      [ofAmd64, amd64],
      [ofArm64, arm64],
    ]) {
      assert.equal(attestation?.platform?.os, 'unknown')
      assert.equal(attestation?.annotations?.['vnd.docker.reference.digest'], image?.digest)
    }
  })

  it('with SOURCE_DATE_EPOCH says the same at any time', async () => {
    using workshop = await withBase()
    const build = () =>
      workshop.build(
        DOCKERFILE,
        { attestations: { provenance: MAX, sbom: true } },
        { sourceDateEpoch: 1_600_000_000 },
      )
    const first = await build()
    workshop.clock += 3_600_000
    assert.equal((await build()).digest, first.digest)
  })

  it('does not fit into an archive for docker, nor under its media types', async () => {
    using workshop = await withBase()
    const attestations = { sbom: true }
    const dest = join(workshop.folder, 'x.tar')
    await assert.rejects(
      workshop.build(DOCKERFILE, { attestations, outputs: [{ type: 'docker', tar: true, dest }] }),
      { code: 'build-option-invalid', message: /docker archive with attestations/ },
    )
    const settings = { ...DEFAULT_IMAGE_SETTINGS, mediaTypes: 'docker' } as const
    await assert.rejects(
      workshop.build(DOCKERFILE, { attestations, outputs: [{ type: 'store', settings }] }),
      { code: 'build-option-invalid', message: /oci-mediatypes=false/ },
    )
  })
})
