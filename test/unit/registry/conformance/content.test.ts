/**
 * What the public conformance suite asks about manifests, tags and referrers, at its levels 1.1 and dev: every kind of
 * content is pushed, listed, looked for, pulled, asked for its referrers, and deleted. Level dev adds tags as parameters.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { isError, openRegistry } from '../client.ts'
import { type Content, contentMaker, EMPTY_TYPE, EXAMPLE_TYPE, INDEX_TYPE, MANIFEST_TYPE } from './content.ts'

const REPOSITORY = 'conformance/repo1'

/** Each kind of content of the suite. */
const KINDS: Readonly<Record<string, () => Content>> = {
  'an image': () => contentMaker().image({ tag: 'image' }).content,
  'an image with uncompressed layers': () =>
    contentMaker().image({ tag: 'image-uncompressed', gzip: false }).content,
  'an image with a large manifest': () =>
    contentMaker().image({
      tag: 'large-manifest',
      annotations: Object.fromEntries(
        Array.from({ length: 390 }, (_, n) => [`large-annotation-${n}`, 'A'.repeat(10_000)]),
      ),
    }).content,
  'an index': () => contentMaker().index({ tag: 'index' }).content,
  'an index of indexes': () => {
    const maker = contentMaker()
    const children = [maker.index({}).descriptor, maker.index({}).descriptor]
    return maker.index({ tag: 'index-of-index', children }).content
  },
  'an empty index': () => contentMaker().index({ tag: 'index', children: [] }).content,
  'an artifact': () => contentMaker().artifact({ tag: 'artifact' }).content,
  'an index of artifacts': () => {
    const maker = contentMaker()
    const children = [maker.artifact({}).descriptor, maker.artifact({}).descriptor]
    return maker.index({ tag: 'artifact-index', children, artifactType: EXAMPLE_TYPE }).content
  },
  'an artifact without layers of its own': () =>
    contentMaker().artifact({ tag: 'artifact-without-layers', layers: ['{}'], layerType: EMPTY_TYPE })
      .content,
  'artifacts with a subject': () => {
    const maker = contentMaker()
    const subject = maker.image({ tag: 'image' }).descriptor
    const annotations = { 'org.opencontainers.conformance': 'hello conformance test' }
    maker.image({ subject })
    maker.artifact({ tag: 'tagged-artifact1', subject, annotations })
    return maker.artifact({
      tag: 'tagged-artifact2',
      subject,
      annotations,
      artifactType: `${EXAMPLE_TYPE}.2`,
    }).content
  },
  'an index with a subject': () => {
    const maker = contentMaker()
    const subject = maker.index({ tag: 'index' }).descriptor
    return maker.index({
      tag: 'tagged-artifact',
      subject,
      artifactType: EXAMPLE_TYPE,
      annotations: { a: 'b' },
    }).content
  },
  'an index with a subject and no artifact type': () => {
    const maker = contentMaker()
    const subject = maker.image({ tag: 'image' }).descriptor
    return maker.index({ tag: 'tagged-index', subject }).content
  },
  'an artifact whose subject is missing': () => {
    const subject = { mediaType: MANIFEST_TYPE, digest: digestOf('missing content'), size: 123 }
    return contentMaker().artifact({ tag: 'tagged-artifact', subject, annotations: { a: 'b' } }).content
  },
  'an image with its blobs inside its descriptors': () =>
    contentMaker().image({ tag: 'data-field', data: true }).content,
  'an image with layers that are not to be distributed': () =>
    contentMaker().image({ tag: 'non-distributable-image', nondistributable: 2 }).content,
  'an index with fields of its own': () =>
    contentMaker().index({ tag: 'custom-fields', extra: { 'org.example.field': [1, { two: 3 }] } }).content,
  'an image without layers': () => contentMaker().image({ tag: 'no-layers', layers: [] }).content,
  'an index by sha512': () => contentMaker('sha512').index({}).content,
}

describe('conformance of content', async () => {
  const registry = await openRegistry()
  const { http } = registry
  const path = (reference: string) => `/v2/${REPOSITORY}/manifests/${reference}`

  it('end-8a, end-12a: an empty repository has no tags, and no referrers', async () => {
    await http.get(`/v2/${REPOSITORY}/tags/list`).expect(404).expect(isError('NAME_UNKNOWN'))
    const response = await http.get(`/v2/${REPOSITORY}/referrers/${digestOf('x')}`).expect(200)
    assert.equal(response.headers['content-type'], INDEX_TYPE)
    assert.deepEqual(response.body, { schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [] })
  })

  for (const [what, make] of Object.entries(KINDS))
    it(`end-7, end-3, end-8, end-12, end-9, end-10: takes ${what} through its life`, async () => {
      const content = make()
      await pushAll(content)
      await assertListed(content)
      for (const [tag, digest] of content.tags) await assertPulled(content, tag, digest)
      for (const digest of content.manifests.keys()) await assertPulled(content, digest, digest)
      await assertReferrers(content)
      await deleteAll(content)
    })

  for (const algorithm of ['sha256', 'sha512'] as const)
    it(`end-7b: takes several tags as parameters of a push by ${algorithm} (level dev)`, async () => {
      const content = contentMaker(algorithm).index({}).content
      const wanted = new Map<string, Digest>()
      await pushBlobs(content)
      for (const [digest, { bytes, mediaType }] of content.manifests) {
        const tags = ['a', 'b', 'c'].map(letter => `tag-param-${algorithm}-${letter}-${digest.slice(7, 12)}`)
        const response = await http
          .put(`${path(digest)}?${tags.map(tag => `tag=${tag}`).join('&')}`)
          .type(mediaType)
          .send(String(bytes))
          .expect(201)
          .expect('Docker-Content-Digest', digest)
        assert.deepEqual((response.headers['oci-tag'] ?? '').split(', '), tags)
        for (const tag of tags) wanted.set(tag, digest)
      }
      for (const [tag, digest] of wanted) await assertPulled(content, tag, digest)
      await assertListed({ ...content, tags: wanted })
      await deleteAll({ ...content, tags: wanted })
    })

  it('end-7, code-4: refuses a manifest whose bytes have another digest', async () => {
    const { content, descriptor } = contentMaker().image({})
    await pushBlobs(content)
    const { bytes, mediaType } = content.manifests.get(descriptor.digest) ?? assert.fail()
    await http.put(path(descriptor.digest)).type(mediaType).send(`${bytes}  `).expect(400)
    await http.put(path('sha256:baddigeststring')).type(mediaType).send(String(bytes)).expect(400)
    await http.get(path('sha256:baddigeststring')).expect(400)
    await http.get(path(descriptor.digest)).expect(404)
    await deleteAll({ ...content, manifests: new Map() })
  })

  it('end-7, code-5: refuses an image and an index that name what was not pushed', async () => {
    const maker = contentMaker()
    const child = maker.image({}).descriptor
    const { content, descriptor } = maker.index({ children: [child] })
    for (const digest of [child.digest, descriptor.digest]) {
      const { bytes, mediaType } = content.manifests.get(digest) ?? assert.fail()
      await http
        .put(path(digest))
        .type(mediaType)
        .send(String(bytes))
        .expect(400)
        .expect(isError('MANIFEST_BLOB_UNKNOWN'))
    }
  })

  it('end-3: answers 404 to a manifest that was not pushed', async () => {
    for (const reference of [digestOf(randomBytes(9)), 'missing-tag'])
      await http.get(path(reference)).expect(404).expect(isError('MANIFEST_UNKNOWN'))
  })

  async function pushBlobs({ blobs }: Content): Promise<void> {
    for (const [digest, bytes] of blobs)
      await http
        .post(`/v2/${REPOSITORY}/blobs/uploads/?digest=${digest}`)
        .type('application/octet-stream')
        .send(bytes)
        .expect(201)
  }

  async function pushAll(content: Content): Promise<void> {
    await pushBlobs(content)
    for (const digest of content.manifests.keys()) await pushManifest(content, digest, digest)
    for (const [tag, digest] of content.tags) await pushManifest(content, tag, digest)
  }

  async function pushManifest({ manifests }: Content, reference: string, digest: Digest): Promise<void> {
    const { bytes, mediaType, subject } = manifests.get(digest) ?? assert.fail()
    const { headers } = await http.put(path(reference)).type(mediaType).send(String(bytes)).expect(201)
    assert.equal(headers['docker-content-digest'], digest)
    assert.equal(headers['oci-subject'], subject)
    const response = await http
      .get(headers.location ?? '')
      .buffer(true)
      .expect(200)
      .expect('Content-Type', mediaType)
    assert.equal(response.text, String(bytes))
  }

  async function assertListed({ tags }: Content): Promise<void> {
    if (tags.size === 0) return
    const list = async (query: string): Promise<readonly string[]> =>
      (await http.get(`/v2/${REPOSITORY}/tags/list${query}`).expect(200)).body.tags
    const all = await list('')
    assert.deepEqual(all, [...all].sort())
    for (const tag of tags.keys()) assert.ok(all.includes(tag), tag)
    const half = Math.floor(all.length / 2)
    if (half > 0) assert.deepEqual(await list(`?last=${all[half - 1]}`), all.slice(half))
    assert.deepEqual(await list('?n=1'), all.slice(0, 1))
  }

  async function assertPulled({ manifests }: Content, reference: string, digest: Digest): Promise<void> {
    const { bytes, mediaType } = manifests.get(digest) ?? assert.fail()
    for (const method of ['head', 'get'] as const) {
      const request = http[method](path(reference))
        .set('Accept', `${INDEX_TYPE}, ${MANIFEST_TYPE}`)
        .buffer(true)
      const response = await request.expect(200).expect('Docker-Content-Digest', digest)
      assert.equal(response.headers['content-type'], mediaType)
      assert.equal(response.headers['content-length'], String(bytes.length))
      if (method === 'get') assert.equal(response.text, String(bytes))
    }
  }

  async function assertReferrers({ referrers }: Content): Promise<void> {
    const list = async (subject: Digest, query = '') => {
      const url = `/v2/${REPOSITORY}/referrers/${subject}${query}`
      const response = await http.get(url).expect(200).expect('Content-Type', INDEX_TYPE)
      assert.equal(response.body.mediaType, INDEX_TYPE)
      assert.equal(response.body.schemaVersion, 2)
      return response
    }
    for (const [subject, wanted] of referrers) {
      assert.deepEqual((await list(subject)).body.manifests, wanted)
      for (const type of new Set(wanted.map(descriptor => descriptor.artifactType))) {
        if (type === undefined) continue
        const filtered = await list(subject, `?artifactType=${encodeURIComponent(type)}`)
        assert.equal(filtered.headers['oci-filters-applied'], 'artifactType')
        assert.deepEqual(
          filtered.body.manifests,
          wanted.filter(descriptor => descriptor.artifactType === type),
        )
      }
    }
  }

  async function deleteAll({ tags, manifests, blobs }: Content): Promise<void> {
    const remove = async (url: string) => {
      await http.delete(url).expect(202)
      await http.head(url).expect(404)
    }
    for (const [tag, digest] of tags) {
      await remove(path(tag))
      await http.head(path(digest)).expect(200)
    }
    for (const digest of [...manifests.keys()].reverse()) await remove(path(digest))
    for (const digest of blobs.keys()) await remove(`/v2/${REPOSITORY}/blobs/${digest}`)
  }
})
