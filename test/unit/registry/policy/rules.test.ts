import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { digestOf } from '../../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { createPolicyStore } from '../../../../src/registry/policy/policy-store.ts'
import { createPullTimes } from '../../../../src/registry/policy/pull-times.ts'
import { createRepositoryStore } from '../../../../src/registry/store-repositories.ts'
import { NO_RULES, type StoreRules } from '../../../../src/store/rules.ts'
import { isError, openRegistry, prepareImage, pushBlob, pushImage } from '../client.ts'
import { openTestStore } from '../support.ts'

async function openWith(given: Partial<StoreRules>) {
  const rules = { ...NO_RULES, ...given }
  const disk = await openTestStore(rules)
  const { inventory } = disk.store
  const pulls = createPullTimes({ inventory, now: Date.now })
  after(() => pulls[Symbol.dispose]())
  const repositories = createPolicyStore({
    store: createRepositoryStore({ store: disk.store }),
    inventory,
    rules,
    pulls,
  })
  const registry = await openRegistry({ disk, app: { repositories } })
  after(() => disk.remove())
  return { registry, inventory, pulls, disk }
}

describe('immutable tags', () => {
  const isImmutable: StoreRules['isImmutable'] = (_name, tag) => tag.startsWith('v')

  it('end-7a: takes the same manifest again under an immutable tag', async () => {
    const { registry } = await openWith({ isImmutable })
    await pushImage(registry, 'app', 'v1')
    await pushImage(registry, 'app', 'v1')
  })

  it('end-7a: refuses another manifest under an immutable tag, and keeps the tag', async () => {
    const { registry } = await openWith({ isImmutable })
    const { digest } = await pushImage(registry, 'app', 'v1')
    const { bytes } = await prepareImage(registry, 'app', { annotations: { a: 'b' } })
    await registry.http
      .put('/v2/app/manifests/v1')
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(403)
      .expect(isError('DENIED'))
      .expect(({ body }) => assert.match(body.errors[0].message, /^Cannot move tag app:v1: it is immutable/))
    await registry.http.head('/v2/app/manifests/v1').expect(200).expect('Docker-Content-Digest', digest)
  })

  it('end-7b: refuses the whole put when one of its tags is immutable', async () => {
    const { registry } = await openWith({ isImmutable })
    await pushImage(registry, 'app', 'v1')
    const { bytes, digest } = await prepareImage(registry, 'app', { annotations: { a: 'b' } })
    await registry.http
      .put(`/v2/app/manifests/${digest}?tag=new&tag=v1`)
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(403)
    await registry.http.head('/v2/app/manifests/new').expect(404)
    await registry.http.head(`/v2/app/manifests/${digest}`).expect(404)
  })

  it('end-9: deletes neither an immutable tag nor the manifest under it', async () => {
    const { registry } = await openWith({ isImmutable })
    const { digest } = await pushImage(registry, 'app', 'v1')
    await pushImage(registry, 'app', 'latest')
    for (const reference of ['v1', digest])
      await registry.http.delete(`/v2/app/manifests/${reference}`).expect(403).expect(isError('DENIED'))
    await registry.http.delete('/v2/app/manifests/latest').expect(202)
    await registry.http.delete('/v2/app/manifests/v2').expect(404)
  })
})

describe('quotas', () => {
  const quotas = [{ prefix: 'team', limit: 100 }]

  it('end-6: refuses a blob that does not fit, says by how much, and keeps none of it', async () => {
    const { registry, disk } = await openWith({ quotas })
    await pushBlob(registry, 'team/a', 'x'.repeat(80))
    const bytes = Buffer.from('y'.repeat(30))
    const digest = digestOf(bytes)
    const { headers } = await registry.http.post('/v2/team/b/blobs/uploads/').expect(202)
    await registry.http
      .put(`${headers.location}?digest=${digest}`)
      .type('application/octet-stream')
      .send(bytes)
      .expect(403)
      .expect(isError('DENIED'))
      .expect(({ body }) =>
        assert.deepEqual(body.errors[0].detail, { prefix: 'team', limit: 100, used: 80, needed: 30 }),
      )
    await registry.http.get(String(headers.location)).expect(404)
    assert.equal(await disk.store.content.stat(digest), undefined)
    await pushBlob(registry, 'elsewhere', bytes)
  })

  it('end-4b: takes a blob that is there already, below the same prefix, for nothing', async () => {
    const { registry, inventory } = await openWith({ quotas })
    await pushBlob(registry, 'team/a', 'x'.repeat(80))
    await pushBlob(registry, 'team/b', 'x'.repeat(80))
    assert.equal(inventory.quotaUsage('team'), 80)
  })

  it('end-11: refuses a mount that does not fit', async () => {
    const { registry } = await openWith({ quotas })
    const large = await pushBlob(registry, 'elsewhere', 'z'.repeat(101))
    const small = await pushBlob(registry, 'elsewhere', 'z'.repeat(50))
    const mount = (digest: string) => `/v2/team/a/blobs/uploads/?mount=${digest}&from=elsewhere`
    await registry.http.post(mount(large)).expect(403).expect(isError('DENIED'))
    await registry.http.get(`/v2/team/a/blobs/${large}`).expect(404)
    await registry.http.post(mount(small)).expect(201)
  })

  it('end-7a: refuses a manifest that does not fit', async () => {
    const { registry } = await openWith({ quotas })
    const { bytes } = await prepareImage(registry, 'team/a')
    await registry.http
      .put('/v2/team/a/manifests/1')
      .type(MEDIA_TYPE.ociManifest)
      .send(String(bytes))
      .expect(403)
      .expect(isError('DENIED'))
    await registry.http.get('/v2/team/a/manifests/1').expect(404)
  })

  it('hold when twenty pushes come at once', async () => {
    const { registry, inventory } = await openWith({ quotas })
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async (_, number) => {
        const bytes = Buffer.from(String(number).padStart(30, '-'))
        const { status } = await registry.http
          .post(`/v2/team/${number}/blobs/uploads/?digest=${digestOf(bytes)}`)
          .type('application/octet-stream')
          .send(bytes)
        return status
      }),
    )
    assert.deepEqual(
      statuses.toSorted(),
      Array.from({ length: 20 }, (_, number) => (number < 3 ? 201 : 403)),
    )
    assert.equal(inventory.quotaUsage('team'), 90)
  })
})

describe('last pulls', () => {
  it('are noted for GET, and written together later', async () => {
    const { registry, inventory, pulls } = await openWith({})
    const { digest } = await pushImage(registry, 'app', '1')
    const pulledAt = () => inventory.getManifest('app' as never, digest)?.pulledAt ?? -1
    await registry.http.head('/v2/app/manifests/1').expect(200)
    pulls.flush()
    assert.equal(pulledAt(), 0)
    const start = Date.now()
    await registry.http.get('/v2/app/manifests/1').expect(200)
    assert.equal(pulledAt(), 0)
    pulls.flush()
    assert.ok(pulledAt() >= start)
    assert.ok((inventory.getRepository('app' as never)?.pulledAt ?? 0) >= start)
  })
})
