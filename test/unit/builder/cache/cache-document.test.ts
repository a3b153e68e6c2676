import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  cacheDocumentBytes,
  type DocumentedStep,
  inlineCache,
  parseCacheDocument,
  readCacheDocument,
} from '../../../../src/builder/cache/cache-document.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'

const LAYER = {
  mediaType: MEDIA_TYPE.ociLayerGzip,
  digest: digestOf('layer'),
  size: 5,
  diffID: digestOf('tar'),
}
const STEP: DocumentedStep = {
  key: digestOf('key'),
  quickKey: digestOf('quick'),
  parts: [['kind', 'run']],
  description: 'RUN make',
  layer: LAYER,
  content: digestOf('content'),
  createdAt: 1000,
}

describe('parseCacheDocument()', () => {
  it('reads what cacheDocumentBytes() writes', () => {
    const { quickKey: _, content: __, ...plain } = STEP
    assert.deepEqual(parseCacheDocument(cacheDocumentBytes([STEP, plain])), [STEP, plain])
  })

  for (const [what, change] of Object.entries({
    'a key that is no digest': { key: 'sha256:0' },
    'a quick key that is no digest': { quickKey: 1 },
    'no layer': { layer: undefined },
    'a layer of another kind': { layer: { ...LAYER, mediaType: 'text/plain' } },
    'a layer without a diffID': { layer: { ...LAYER, diffID: '../../etc' } },
    'a layer of less than nothing': { layer: { ...LAYER, size: -1 } },
    'a layer by a number that it does not have': { layer: 0 },
    'a content that is no digest': { content: 'x' },
    'a time beyond all calendars': { createdAt: 9e15 },
    'a time that is text': { createdAt: '1' },
    'parts that are no pairs': { parts: [['one']] },
    'parts that are no texts': { parts: [['one', {}]] },
    'parts without end': { parts: Array.from({ length: 10_001 }, () => ['a', 'b']) },
  }))
    it(`refuses ${what}`, () => {
      const bytes = Buffer.from(JSON.stringify({ version: 1, steps: [{ ...STEP, ...change }] }))
      assert.throws(() => parseCacheDocument(bytes), { code: 'config-invalid', message: /step 0/ })
    })

  for (const text of [
    '',
    'null',
    '[]',
    '{"version":2,"steps":[]}',
    '{"version":1}',
    '{"version":1,"steps":[1]}',
  ])
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseCacheDocument(Buffer.from(text)), { code: 'config-invalid' })
    })

  it('refuses more steps than any build has', () => {
    const steps = Array.from({ length: 20_001 }, () => 0)
    assert.throws(() => readCacheDocument({ version: 1, steps }, []), { code: 'config-invalid' })
  })
})

describe('inlineCache()', () => {
  it('names layers of the image by number, also where they are compressed otherwise', () => {
    const other = { ...LAYER, digest: digestOf('elsewhere'), diffID: digestOf('other tar') }
    const value = inlineCache(
      [STEP, { ...STEP, key: digestOf('second'), layer: other }],
      [{ diffID: LAYER.diffID }],
    )
    const image = { ...LAYER, digest: digestOf('zstd'), mediaType: MEDIA_TYPE.ociLayerZstd }
    const read = readCacheDocument(JSON.parse(JSON.stringify(value)), [image])
    assert.deepEqual(
      read.map(({ layer }) => layer),
      [image, other],
    )
    assert.ok(read.every(({ parts, description }) => parts === undefined && description === undefined))
  })
})
