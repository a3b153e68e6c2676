import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { parseRepositoryName, type Tag } from '../../../../src/oci/reference.ts'
import type { RepositoryStore } from '../../../../src/registry/repository-store.ts'
import { createRepositoryStore } from '../../../../src/registry/store-repositories.ts'
import { isError, openRegistry, pushImage, type TestRegistry } from '../client.ts'

describe('tags and catalog', async () => {
  const registry = await openRegistry()
  const { http, disk } = registry
  for (const tag of ['b', 'a', 'B', '10', '9', 'v1', 'v1.0', 'v']) await pushImage(registry, 'app', tag)
  await pushImage(registry, 'team/app', 'latest')
  const sorted = ['10', '9', 'B', 'a', 'b', 'v', 'v1', 'v1.0']

  it('end-8a: lists tags in byte order', async () => {
    await http
      .get('/v2/app/tags/list')
      .expect(200, { name: 'app', tags: sorted })
      .expect('Content-Type', 'application/json')
  })

  it('end-8a: answers 404 for an unknown repository', async () => {
    await http.get('/v2/unknown/tags/list').expect(404).expect(isError('NAME_UNKNOWN'))
    await http.get('/v2/team/tags/list').expect(404).expect(isError('NAME_UNKNOWN'))
  })

  it('end-8b: pages through the list by its links, and loses nothing', async () => {
    for (const n of [1, 2, 3, 7]) {
      const got: string[] = []
      let path: string | undefined = `/v2/app/tags/list?n=${n}`
      while (path !== undefined) {
        const response: Awaited<ReturnType<typeof http.get>> = await http.get(path).expect(200)
        assert.ok(response.body.tags.length <= n)
        got.push(...response.body.tags)
        path = /^<([^>]+)>; rel="next"$/.exec(response.headers.link ?? '')?.[1]
      }
      assert.deepEqual(got, sorted)
    }
  })

  it('end-8b: gives no link where nothing is left', async () => {
    for (const query of ['n=8', 'n=9', 'n=0', 'last=v1.0', 'last=zzz']) {
      const response = await http.get(`/v2/app/tags/list?${query}`).expect(200)
      assert.equal(response.headers.link, undefined, query)
    }
  })

  it('end-8b: n=0 is an empty list, and last need not exist', async () => {
    await http.get('/v2/app/tags/list?n=0').expect(200, { name: 'app', tags: [] })
    await http.get('/v2/app/tags/list?last=aa').expect(200, { name: 'app', tags: ['b', 'v', 'v1', 'v1.0'] })
    await http.get('/v2/unknown/tags/list?n=0').expect(404)
  })

  it('end-8b: answers 400 to an n that is not a number', async () => {
    for (const n of ['-1', 'x', '1.5', '', '1e3'])
      await http.get(`/v2/app/tags/list?n=${n}`).expect(400).expect(isError('UNSUPPORTED'))
    await http.get('/v2/app/tags/list?n=99999999999999999999').expect(200)
  })

  it('end-8b: pages through 10,000 tags, as many at once as allowed or by the thousand', async () => {
    const many = await openRegistry()
    const { digest } = await pushImage(many, 'many', 'first')
    const { metadata } = many.disk.store
    const record = metadata.getManifest(parseRepositoryName('many'), digest)
    assert.ok(record)
    const tags = Array.from({ length: 10_000 }, (_, n) => `v${n}` as Tag)
    metadata.putManifest(parseRepositoryName('many'), record, tags)
    const sorted = ['first', ...[...tags].sort()]
    for (const query of ['', '?n=100000', '?n=1000']) {
      const got: string[] = []
      let next: string | undefined = `/v2/many/tags/list${query}`
      while (next !== undefined) {
        const response: Awaited<ReturnType<typeof http.get>> = await many.http.get(next).expect(200)
        assert.ok(response.body.tags.length <= 10_000)
        got.push(...response.body.tags)
        next = /^<([^>]+)>; rel="next"$/.exec(response.headers.link ?? '')?.[1]
      }
      assert.deepEqual(got, sorted)
    }
  })

  it('lists repositories, paged', async () => {
    await http.get('/v2/_catalog').expect(200, { repositories: ['app', 'team/app'] })
    const first = await http.get('/v2/_catalog?n=1').expect(200, { repositories: ['app'] })
    assert.equal(first.headers.link, '</v2/_catalog?n=1&last=app>; rel="next"')
    await http.get('/v2/_catalog?n=1&last=app').expect(200, { repositories: ['team/app'] })
    await http.get('/v2/_catalog?n=0').expect(200, { repositories: [] })
    await http.get('/v2/_catalog?n=-1').expect(400)
  })

  it('leaves names out of the catalog that no URL can say', async () => {
    const [tag] = disk.store.metadata.listAllTags()
    const record = disk.store.metadata.getManifest('app' as never, tag!.digest)
    for (const name of ['localhost:5000/a', 'localhost:5000/b', 'docker.io/library/debian'])
      disk.store.metadata.putManifest(name as never, record!, ['v' as never])
    await http
      .get('/v2/_catalog?n=3')
      .expect(200, { repositories: ['app', 'docker.io/library/debian', 'team/app'] })
  })
})

describe('referrers', async () => {
  const registry = await openRegistry()
  const { http } = registry
  const image = await pushImage(registry, 'app', 'v1')
  const subject = { mediaType: MEDIA_TYPE.ociManifest, digest: image.digest, size: image.bytes.length }
  const path = `/v2/app/referrers/${image.digest}`

  const signature = await pushReferrer(registry, 'one', {
    artifactType: 'application/signature',
    annotations: { a: 'b' },
  })
  const image2 = await pushReferrer(registry, 'two', {})

  async function pushReferrer(
    { http }: TestRegistry,
    tag: string,
    fields: Record<string, unknown>,
  ): Promise<Digest> {
    const { digest } = await pushImage(registry, 'app', tag, { subject, ...fields })
    await http.head(`/v2/app/manifests/${digest}`).expect(200)
    return digest
  }

  it('end-12a: lists referrers as an index, with their types and annotations', async () => {
    const response = await http.get(path).expect(200).expect('Content-Type', MEDIA_TYPE.ociIndex)
    const index = response.body
    assert.equal(index.mediaType, MEDIA_TYPE.ociIndex)
    assert.equal(index.schemaVersion, 2)
    assert.deepEqual(
      index.manifests.map((item: Record<string, unknown>) => [
        item.digest,
        item.artifactType,
        item.annotations,
      ]),
      [
        [signature, 'application/signature', { a: 'b' }],
        [image2, MEDIA_TYPE.ociConfig, undefined],
      ],
    )
    assert.equal(response.headers['oci-filters-applied'], undefined)
  })

  it('end-12a: an unknown repository or subject has none', async () => {
    for (const other of [`/v2/unknown/referrers/${image.digest}`, `/v2/app/referrers/${digestOf('x')}`]) {
      const response = await http.get(other).expect(200)
      assert.deepEqual(response.body.manifests, [])
    }
    await http.get('/v2/app/referrers/sha256:x').expect(400).expect(isError('DIGEST_INVALID'))
  })

  it('end-12b: filters by artifact type, and says so', async () => {
    const response = await http
      .get(`${path}?artifactType=application%2Fsignature`)
      .expect(200)
      .expect('OCI-Filters-Applied', 'artifactType')
    const { manifests } = response.body
    assert.deepEqual(
      manifests.map((item: { digest: string }) => item.digest),
      [signature],
    )
  })

  it('end-12a: adds what clients keep under the tag of the schema without the API', async () => {
    const old = await pushImage(registry, 'app', 'old', { annotations: { old: 'yes' } })
    const listed = [old.digest, signature].map(digest => ({
      mediaType: MEDIA_TYPE.ociManifest,
      digest,
      size: 1,
      artifactType: 'application/old',
    }))
    await http
      .put(`/v2/app/manifests/${image.digest.replace(':', '-')}`)
      .type(MEDIA_TYPE.ociIndex)
      .send(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: listed }))
      .expect(201)
    const response = await http.get(path).expect(200)
    const { manifests } = response.body
    assert.deepEqual(
      manifests.map((item: { digest: string }) => item.digest),
      [signature, image2, old.digest],
    )
  })

  it('end-12a: pages an answer that would be over 4 MiB', async () => {
    const target = { ...subject, digest: digestOf('popular') }
    const want: string[] = []
    for (let n = 0; n < 6; n++) {
      const annotations = { n: String(n), fill: 'x'.repeat(1_000_000) }
      want.push((await pushImage(registry, 'big', `t${n}`, { subject: target, annotations })).digest)
    }
    const type = encodeURIComponent(MEDIA_TYPE.ociConfig)
    const pages = await readPages(registry, `/v2/big/referrers/${target.digest}?artifactType=${type}`)
    assert.deepEqual(pages.flat(), want)
    assert.equal(pages.length, 2)
  })

  it('end-12a: pages an answer of more than a thousand, reading no further than it must', async () => {
    const digests = Array.from({ length: 2500 }, (_, n) => digestOf(`referrer ${n}`))
    let read = 0
    const repositories: RepositoryStore = {
      ...createRepositoryStore({ store: registry.disk.store }),
      async *listReferrers(_name, _subject, after) {
        for (const digest of digests.slice(after === undefined ? 0 : digests.indexOf(after) + 1)) {
          read++
          yield { mediaType: MEDIA_TYPE.ociManifest, digest, size: 1 }
        }
      },
    }
    const popular = await openRegistry({ disk: registry.disk, app: { repositories } })
    const pages = await readPages(popular, path)
    assert.deepEqual(
      pages.map(page => page.length),
      [1000, 1000, 500],
    )
    assert.deepEqual(pages.flat(), digests)
    assert.ok(read < 2600, `${read} were read`)
  })

  it('end-12a: goes on after each of a list, also among those of the tag, and from the first after one that is gone', async () => {
    const { body } = await http.get(path).expect(200)
    const all: string[] = body.manifests.map((item: { digest: string }) => item.digest)
    for (const [at, digest] of all.entries())
      assert.deepEqual((await readPages(registry, `${path}?last=${digest}`)).flat(), all.slice(at + 1))
    assert.deepEqual((await readPages(registry, `${path}?last=${digestOf('gone')}`)).flat(), all)
    await http.get(`${path}?last=x`).expect(400).expect(isError('DIGEST_INVALID'))
  })

  it('end-12a: leaves out what the tag of the schema lists and this repository does not have', async () => {
    const subject = await pushImage(registry, 'stale', 'v1')
    const signature = await pushImage(registry, 'stale', 'sig', { annotations: { a: 'signature' } })
    const manifests = [
      { mediaType: MEDIA_TYPE.ociManifest, digest: signature.digest, size: signature.bytes.length },
    ]
    await http
      .put(`/v2/stale/manifests/${subject.digest.replace(':', '-')}`)
      .type(MEDIA_TYPE.ociIndex)
      .send(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests }))
      .expect(201)
    const referrers = `/v2/stale/referrers/${subject.digest}`
    assert.deepEqual((await readPages(registry, referrers)).flat(), [signature.digest])
    await http.delete(`/v2/stale/manifests/${signature.digest}`).expect(202)
    assert.deepEqual((await readPages(registry, referrers)).flat(), [])
  })
})

/** The digests of each page of referrers. */
async function readPages({ http }: TestRegistry, path: string): Promise<string[][]> {
  const pages: string[][] = []
  let next: string | undefined = path
  while (next !== undefined) {
    const response: Awaited<ReturnType<typeof http.get>> = await http.get(next).expect(200)
    assert.ok(Number(response.headers['content-length']) <= 4 * 1024 * 1024)
    pages.push(response.body.manifests.map((item: { digest: string }) => item.digest))
    next = /^<([^>]+)>; rel="next"$/.exec(response.headers.link ?? '')?.[1]
  }
  return pages
}
