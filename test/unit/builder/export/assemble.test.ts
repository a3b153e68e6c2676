import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assembleImage, imagesSize } from '../../../../src/builder/export/assemble.ts'
import type { HistoryItem, ImageDraft } from '../../../../src/builder/plan/stage-draft.ts'
import type { Solution } from '../../../../src/builder/solve/step.ts'
import type { ResultLayer, Vertex } from '../../../../src/builder/solve/vertex.ts'
import { parseImageConfig } from '../../../../src/oci/config.ts'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { parseManifest } from '../../../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'

describe('assembleImage()', () => {
  it('is an OCI image with OCI layers, whatever the layers of the base were called', () => {
    const layers = [
      MEDIA_TYPE.dockerLayer,
      MEDIA_TYPE.dockerLayerGzip,
      MEDIA_TYPE.dockerLayerZstd,
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      MEDIA_TYPE.ociLayerGzip,
    ].map(layerOf)
    const image = assembleImage(draft([]), layers, new Map(), undefined)
    const manifest = parseManifest(image.manifest.bytes, MEDIA_TYPE.ociManifest)
    assert.ok(manifest.kind === 'image')
    assert.deepEqual(
      manifest.layers.map(({ mediaType }) => mediaType),
      [
        MEDIA_TYPE.ociLayer,
        MEDIA_TYPE.ociLayerGzip,
        MEDIA_TYPE.ociLayerZstd,
        MEDIA_TYPE.ociLayerGzip,
        MEDIA_TYPE.ociLayerGzip,
      ],
    )
    assert.deepEqual(
      manifest.layers.map(({ digest }) => digest),
      layers.map(({ digest }) => digest),
    )
    assert.equal(manifest.config.digest, digestOf(image.config.bytes))
    assert.equal(image.manifest.descriptor.digest, digestOf(image.manifest.bytes))
  })

  it('has the same bytes however the draft came about', () => {
    const one = draft([], { Labels: { b: '2', a: '1' }, Env: ['x=1'], User: 'u', Special: 1 })
    const two = draft([], { Special: 1, User: 'u', Env: ['x=1'], Labels: { a: '1', b: '2' } })
    const [first, second] = [one, two].map(image => assembleImage(image, [], new Map(), undefined))
    assert.deepEqual(first?.config.bytes, second?.config.bytes)
  })

  it('leaves out what is empty, as Docker does, but no field that it does not know', () => {
    const empty = { Cmd: [], Entrypoint: null, User: '', Labels: {}, ArgsEscaped: false, Env: ['a='] }
    const image = assembleImage(draft([], { ...empty, Special: '' }), [], new Map(), undefined)
    assert.deepEqual(configOf(image).config, { Env: ['a='], Special: '' })
  })

  it('writes the times of the base as BuildKit does, so that the image ID is the same', () => {
    const items: HistoryItem[] = [
      { kind: 'inherited', entry: { created: '2026-11-23T07:55:14.670Z', created_by: 'base' } },
      { kind: 'new', createdBy: 'LABEL a=b' },
    ]
    const { history, created } = configOf(assembleImage(draft(items), [], new Map(), undefined))
    assert.deepEqual(
      [created, ...history.map(entry => entry.created)],
      ['2026-11-23T07:55:14.67Z', '2026-11-23T07:55:14.67Z', '2026-11-23T07:55:14.67Z'],
    )
  })

  it('semantics 82: without a new layer, new entries have the time of the last entry of the base', () => {
    const items: HistoryItem[] = [
      { kind: 'inherited', entry: { created: '2020-01-01T00:00:00Z' } },
      { kind: 'inherited', entry: { created: '2021-01-01T00:00:00Z', empty_layer: true } },
      { kind: 'new', createdBy: 'LABEL a=b' },
    ]
    const config = configOf(assembleImage(draft(items), [], new Map(), undefined))
    assert.equal(config.history[2]?.created, '2021-01-01T00:00:00Z')
    assert.equal(config.created, '2021-01-01T00:00:00Z')
  })

  it('semantics 82: the source date is the time of what is new, and only of that', () => {
    const made = vertex('made')
    const items: HistoryItem[] = [
      { kind: 'inherited', entry: { created: '2020-01-01T00:00:00Z' } },
      { kind: 'new', createdBy: 'RUN x', vertex: made },
      { kind: 'new', createdBy: 'LABEL a=b' },
    ]
    const config = configOf(assembleImage(draft(items), [], solved(made, 5000), 86_400))
    assert.deepEqual(
      config.history.map(({ created }) => created),
      ['2020-01-01T00:00:00Z', '1970-01-02T00:00:00Z', '1970-01-02T00:00:00Z'],
    )
  })

  it('marks entries without a layer, and only those', () => {
    const made = vertex('made')
    const items: HistoryItem[] = [
      { kind: 'new', createdBy: 'RUN x', vertex: made },
      { kind: 'new', createdBy: 'CMD x' },
    ]
    const { history } = configOf(assembleImage(draft(items), [], solved(made, 5000), undefined))
    assert.deepEqual(history, [
      { created: '1970-01-01T00:00:05Z', created_by: 'RUN x', comment: 'buildkit.dockerfile.v0' },
      {
        created: '1970-01-01T00:00:05Z',
        created_by: 'CMD x',
        comment: 'buildkit.dockerfile.v0',
        empty_layer: true,
      },
    ])
  })
})

describe('history of layers that no instruction made', () => {
  const context = vertex('[context files] load files')
  const copied = vertex('[2/2] COPY a /')
  const solutions = new Map([...solved(context, 1000), ...solved(copied, 2000)])
  const told = (items: readonly HistoryItem[]) =>
    configOf(assembleImage(draft(items), [], solutions, undefined)).history.map(
      ({ created, created_by, comment, empty_layer = false }) => [created, created_by, comment, empty_layer],
    )
  const source = { kind: 'unsaid', description: 'local source for files', vertex: context } as const
  const own = 'buildkit.dockerfile.v0'
  const added = 'buildkit.exporter.image.v0'

  it('is at the end, as BuildKit has it, and names the last layers', () => {
    const items: HistoryItem[] = [
      source,
      { kind: 'new', createdBy: 'LABEL a=b' },
      { kind: 'new', createdBy: 'COPY a / # buildkit', vertex: copied },
    ]
    assert.deepEqual(told(items), [
      ['1970-01-01T00:00:01Z', 'LABEL a=b', own, true],
      ['1970-01-01T00:00:01Z', 'COPY a / # buildkit', own, false],
      ['1970-01-01T00:00:02Z', '[2/2] COPY a /', added, false],
    ])
  })

  it('names what they hold where nothing else was made', () => {
    assert.deepEqual(told([source, { kind: 'new', createdBy: 'CMD a' }]), [
      ['1970-01-01T00:00:01Z', 'CMD a', own, true],
      ['1970-01-01T00:00:01Z', 'local source for files', added, false],
    ])
  })
})

describe('imagesSize()', () => {
  it('counts a layer that occurs twice once', () => {
    const layer = layerOf(MEDIA_TYPE.ociLayer)
    const image = assembleImage(draft([]), [layer, layer], new Map(), undefined)
    assert.equal(imagesSize([image]), layer.size + image.config.descriptor.size)
  })
})

function draft(history: readonly HistoryItem[], config: object = {}): ImageDraft {
  return { config: { os: 'linux', architecture: 'amd64', config, unknown: {} }, history }
}

function configOf(image: ReturnType<typeof assembleImage>) {
  return parseImageConfig(image.config.bytes)
}

function layerOf(mediaType: string): ResultLayer {
  return { mediaType, digest: digestOf(mediaType), diffID: digestOf(`tar ${mediaType}`), size: 100 }
}

function vertex(name: string): Vertex {
  const op = { kind: 'base', exec: async () => ({ chainID: undefined, layers: [] }) } as const
  return { digest: digestOf(name), name, op, inputs: [] }
}

function solved({ digest }: Vertex, createdAt: number): ReadonlyMap<Digest, Solution> {
  return new Map([[digest, { result: { chainID: undefined, layers: [] }, createdAt }]])
}
