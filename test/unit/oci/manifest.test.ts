import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDescriptor } from '../../../src/oci/descriptor.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  imageManifestBytes,
  indexBytes,
  MAX_MANIFEST_BYTES,
  parseManifest,
} from '../../../src/oci/manifest.ts'
import { isNonDistributable, layerCompression, MEDIA_TYPE } from '../../../src/oci/media-type.ts'

const config = { mediaType: MEDIA_TYPE.ociConfig, digest: digestOf('{}'), size: 2 }
const layer = { mediaType: MEDIA_TYPE.ociLayerGzip, digest: digestOf('layer'), size: 5 }
const image = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest, config, layers: [layer] }
const index = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPE.ociIndex,
  manifests: [{ ...config, mediaType: image.mediaType }],
}
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

test('parseManifest() reads an image and an index', () => {
  const parsed = parseManifest(bytes(image))
  assert.ok(parsed.kind === 'image')
  assert.deepEqual(parsed.config, config)
  assert.deepEqual(parsed.layers, [layer])
  const parsedIndex = parseManifest(bytes(index), MEDIA_TYPE.ociIndex)
  assert.ok(parsedIndex.kind === 'index')
  assert.equal(parsedIndex.manifests.length, 1)
})

test('parseManifest() goes by the transport, then by the document, then by its shape', () => {
  const { mediaType: _image, ...untypedImage } = image
  const { mediaType: _index, ...untypedIndex } = index
  assert.equal(parseManifest(bytes(untypedImage)).mediaType, MEDIA_TYPE.ociManifest)
  assert.equal(parseManifest(bytes(untypedIndex)).mediaType, MEDIA_TYPE.ociIndex)
  assert.equal(
    parseManifest(bytes(untypedImage), MEDIA_TYPE.dockerManifest).mediaType,
    MEDIA_TYPE.dockerManifest,
  )
})

test('parseManifest() keeps subject, artifact type and annotations', () => {
  const more = { subject: config, artifactType: 'application/vnd.example', annotations: { a: 'b' } }
  const { subject, artifactType, annotations } = parseManifest(bytes({ ...image, ...more }))
  assert.deepEqual({ subject, artifactType, annotations }, more)
})

test('what we write is what we read, with the keys in a fixed order', () => {
  const written = imageManifestBytes({ mediaType: MEDIA_TYPE.ociManifest, config, layers: [layer] })
  assert.deepEqual(written, bytes(image))
  const parsed = parseManifest(written)
  assert.ok(parsed.kind === 'image')
  assert.deepEqual(imageManifestBytes(parsed), written)
  const parsedIndex = parseManifest(bytes(index))
  assert.ok(parsedIndex.kind === 'index')
  assert.deepEqual(indexBytes(parsedIndex), bytes(index))
})

const bad: readonly [name: string, bytes: Buffer, problem: RegExp, told?: string][] = [
  ['no JSON', Buffer.from('{'), /not a JSON object/],
  ['JSON that is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), /not a JSON object/],
  ['an array', bytes([]), /not a JSON object/],
  ['null', bytes(null), /not a JSON object/],
  ['schema 1', bytes({ schemaVersion: 1 }), /schema 1 is no longer supported/],
  ['no schema version', bytes({ ...image, schemaVersion: undefined }), /schemaVersion is/],
  ['a schema version in text', bytes({ ...image, schemaVersion: '2' }), /schemaVersion is "2"/],
  ['a type that contradicts the transport', bytes(image), /it says .* but was sent as/, MEDIA_TYPE.ociIndex],
  ['an unknown type', bytes({ ...image, mediaType: 'text/plain' }), /"text\/plain" is not one of/],
  ['a type that is no text', bytes({ ...image, mediaType: 5 }), /mediaType is not a string/],
  [
    'an image with manifests (an ambiguous document)',
    bytes({ ...image, manifests: [] }),
    /must not have manifests/,
  ],
  [
    'an index with layers (an ambiguous document)',
    bytes({ ...index, layers: [] }),
    /must not have config or layers/,
  ],
  ['layers that are no list', bytes({ ...image, layers: {} }), /layers is not an array/],
  ['annotations of numbers', bytes({ ...image, annotations: { a: 1 } }), /annotations must map/],
  ['too many bytes', Buffer.alloc(MAX_MANIFEST_BYTES + 1, ' '), /are more than/],
]
for (const [name, document, message, told] of bad) {
  test(`parseManifest() refuses ${name}`, () => {
    assert.throws(() => parseManifest(document, told), { code: 'manifest-invalid', message })
  })
}

const badDescriptors: readonly [name: string, value: unknown, problem: RegExp][] = [
  ['no object', 'sha256', /layers\[0\]: not an object/],
  ['no media type', { ...layer, mediaType: undefined }, /mediaType is missing/],
  ['a digest that is none', { ...layer, digest: 'sha256:../..' }, /is not a digest/],
  ['a negative size', { ...layer, size: -1 }, /size -1 is not a number of bytes/],
  ['a size of half a byte', { ...layer, size: 0.5 }, /size 0.5/],
  ['a size in text', { ...layer, size: '5' }, /size "5"/],
  ['a size beyond 53 bits', { ...layer, size: 2 ** 53 }, /size/],
  ['a platform without an os', { ...layer, platform: { architecture: 'x' } }, /platform lacks os/],
]
for (const [name, value, message] of badDescriptors) {
  test(`parseDescriptor() refuses ${name}`, () => {
    assert.throws(() => parseDescriptor(value, 'layers[0]'), { code: 'descriptor-invalid', message })
  })
}

test('parseDescriptor() keeps what it knows and drops the rest', () => {
  const platform = { os: 'linux', architecture: 'arm64', variant: 'v8', 'os.features': ['a'] }
  const known = { ...layer, urls: ['https://example.com/x'], annotations: { a: 'b' }, platform, data: 'e30=' }
  assert.deepEqual(parseDescriptor({ ...known, extra: 1, urls: known.urls }, 'x'), known)
})

test('layerCompression() knows the layer types, and no others', () => {
  assert.equal(layerCompression(MEDIA_TYPE.ociLayer), 'none')
  assert.equal(layerCompression(MEDIA_TYPE.dockerLayerGzip), 'gzip')
  assert.equal(layerCompression(MEDIA_TYPE.ociLayerZstd), 'zstd')
  assert.equal(layerCompression(MEDIA_TYPE.ociConfig), undefined)
  assert.equal(layerCompression('constructor'), undefined)
  assert.equal(isNonDistributable('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'), true)
  assert.equal(isNonDistributable(MEDIA_TYPE.ociLayer), false)
})
