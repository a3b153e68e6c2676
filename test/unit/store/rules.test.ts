import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { type DiskStore, openStore } from '../../../src/store/open.ts'
import type { StoreRules } from '../../../src/store/rules.ts'
import { putContent, rejectsWith, repository, tag, temporaryStore } from './support.ts'

const APP = repository('team/app')

async function openWith(t: TestContext, rules: Partial<StoreRules>): Promise<DiskStore> {
  const { root, clock } = await temporaryStore(t)
  const all = { isImmutable: () => false, quotas: [], ...rules }
  const store = await openStore({ root, now: clock.now, rules: all })
  t.after(() => store[Symbol.dispose]())
  return store
}

async function putManifest(store: DiskStore, text: string, tags: readonly string[]) {
  const digest = await putContent(store.content, text)
  const record = { digest, mediaType: MEDIA_TYPE.ociManifest, size: text.length, references: [] }
  store.metadata.putManifest(APP, record, tags.map(tag))
  return digest
}

describe('immutable tags', () => {
  const isImmutable: StoreRules['isImmutable'] = (name, one) => name === APP && one.startsWith('v')

  it('can be made, and put again with what they are', async t => {
    const store = await openWith(t, { isImmutable })
    await putManifest(store, 'one', ['v1'])
    await putManifest(store, 'one', ['v1', 'latest'])
    await putManifest(store, 'two', ['latest'])
  })

  it('do not move, and nothing of the attempt stays', async t => {
    const store = await openWith(t, { isImmutable })
    const digest = await putManifest(store, 'one', ['v1'])
    await assert.rejects(putManifest(store, 'two', ['new', 'v1']), rejectsWith('tag-immutable'))
    assert.equal(store.metadata.getTag(APP, tag('v1'))?.digest, digest)
    assert.equal(store.metadata.getTag(APP, tag('new')), undefined)
  })

  it('are not deleted, neither by name nor with their manifest', async t => {
    const store = await openWith(t, { isImmutable })
    const digest = await putManifest(store, 'one', ['v1', 'other'])
    assert.throws(() => store.metadata.deleteTag(APP, tag('v1')), rejectsWith('tag-immutable'))
    assert.throws(() => store.metadata.deleteManifest(APP, digest), rejectsWith('tag-immutable'))
    assert.equal(store.metadata.deleteTag(APP, tag('other')), true)
    assert.equal(store.metadata.deleteTag(APP, tag('v2')), false)
  })
})

describe('quotas', () => {
  it('count content once for all repositories below the prefix', async t => {
    const store = await openWith(t, { quotas: [{ prefix: 'team', limit: 10 }] })
    const blob = await putContent(store.content, '8 bytes.')
    for (const name of ['team', 'team/a', 'team/b', 'teams', 'other'])
      store.metadata.linkBlob(repository(name), blob)
    assert.equal(store.inventory.quotaUsage('team'), 8)
    assert.equal(store.inventory.bytesNewBelow('team', { digest: blob, size: 8 }), 0)
    store.metadata.unlinkBlob(repository('team/a'), blob)
    assert.equal(store.inventory.quotaUsage('team'), 8)
    store.metadata.unlinkBlob(repository('team/b'), blob)
    store.metadata.unlinkBlob(repository('team'), blob)
    assert.equal(store.inventory.quotaUsage('team'), 0)
  })

  it('refuse what does not fit, say by how much, and take it back', async t => {
    const store = await openWith(t, { quotas: [{ prefix: 'team', limit: 10 }] })
    store.metadata.linkBlob(repository('team/a'), await putContent(store.content, '8 bytes.'))
    const more = await putContent(store.content, '3 b')
    assert.throws(
      () => store.metadata.linkBlob(repository('team/new'), more),
      (error: Error & { detail?: unknown }) => {
        assert.ok(rejectsWith('quota-exceeded')(error))
        assert.deepEqual(error.detail, { prefix: 'team', limit: 10, used: 8, needed: 3 })
        assert.match(error.message, /quota of team is 10 bytes, 8 are used, and 3 more are needed/)
        return true
      },
    )
    assert.equal(store.inventory.quotaUsage('team'), 8)
    assert.equal(store.inventory.getRepository(repository('team/new')), undefined)
    await assert.rejects(putManifest(store, 'too long', ['1']), rejectsWith('quota-exceeded'))
    await putManifest(store, 'ok', ['1'])
    assert.equal(store.inventory.quotaUsage('team'), 10)
  })

  it('refuse nothing that adds nothing, even over a limit that was lowered', async t => {
    const { root, clock } = await temporaryStore(t)
    const open = (limit: number) =>
      openStore({
        root,
        now: clock.now,
        rules: { isImmutable: () => false, quotas: [{ prefix: '*', limit }] },
      })
    using before = await open(1000)
    await putManifest(before, 'a manifest', ['1'])
    using store = await open(1)
    await putManifest(store, 'a manifest', ['1', '2'])
    await assert.rejects(putManifest(store, 'another', ['2']), rejectsWith('quota-exceeded'))
  })

  it('of the whole registry count images from elsewhere, and do not refuse them', async t => {
    const store = await openWith(t, { quotas: [{ prefix: '*', limit: 10 }] })
    store.metadata.linkBlob(
      repository('docker.io/library/x'),
      await putContent(store.content, '12 bytes ...'),
    )
    assert.equal(store.inventory.quotaUsage('*'), 12)
    const blob = await putContent(store.content, 'x')
    assert.throws(() => store.metadata.linkBlob(APP, blob), rejectsWith('quota-exceeded'))
  })

  it('begin to count what was there before them', async t => {
    const { root, clock, store: before } = await temporaryStore(t)
    for (const name of ['team/a', 'team/b', 'x'])
      before.metadata.linkBlob(repository(name), await putContent(before.content, 'same for all'))
    await putManifest(before, 'manifest', [])
    const quotas = [{ prefix: 'team', limit: 100 }]
    using store = await openStore({ root, now: clock.now, rules: { isImmutable: () => false, quotas } })
    assert.equal(store.inventory.quotaUsage('team'), 'same for all'.length + 'manifest'.length)
    assert.equal(store.inventory.quotaUsage('x'), undefined)
  })
})
