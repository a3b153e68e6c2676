import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import type { RepositoryName } from '../../../../src/oci/reference.ts'
import {
  type RemovedManifest,
  type RepositoryRetention,
  runRetention,
} from '../../../../src/registry/policy/run-retention.ts'
import { collectGarbage } from '../../../../src/store/gc.ts'
import type { DiskStore } from '../../../../src/store/open.ts'
import {
  HOUR_MS,
  NO_SIGNAL,
  putContent,
  repository,
  type TestStore,
  tag,
  temporaryStore,
} from '../../store/support.ts'

const DAY = 24 * HOUR_MS
const TEAM = repository('team/app')

async function put(
  store: DiskStore,
  name: RepositoryName,
  tags: readonly string[],
  layers: readonly string[],
) {
  const references = []
  for (const layer of layers) references.push(await putContent(store.content, layer))
  const text = `${name} ${layers.join()}`
  const digest = await putContent(store.content, text)
  const record = { digest, mediaType: MEDIA_TYPE.ociManifest, size: text.length, references }
  store.metadata.putManifest(name, record, tags.map(tag))
  return digest
}

async function run(
  { store, clock }: TestStore,
  dryRun: boolean,
  untaggedMs?: number,
  onRemoved?: (removed: RemovedManifest) => void,
) {
  const repositories: RepositoryRetention[] = []
  const report = await runRetention(store, {
    rules: [
      {
        matches: name => name.startsWith('team/'),
        keep: { newest: 1 },
        ...(untaggedMs !== undefined && { untaggedMs }),
      },
    ],
    isImmutable: () => false,
    dryRun,
    now: clock.now,
    signal: NO_SIGNAL,
    onRepository: done => repositories.push(done),
    ...(onRemoved !== undefined && { onRemoved }),
  })
  return { report, repositories }
}

async function filled(t: TestContext): Promise<TestStore> {
  const test = await temporaryStore(t)
  const { store, clock } = test
  await put(store, repository('other'), ['old'], ['shared with others'])
  await put(store, TEAM, ['old'], ['shared with others', 'only old', 'shared with new'])
  clock.pass(DAY)
  await put(store, TEAM, ['new'], ['shared with new'])
  await put(store, repository('other'), ['new'], ['x'])
  clock.pass(10 * DAY)
  return test
}

describe('runRetention()', () => {
  it('tells in a dry run what would go and what garbage collection would free, and does nothing', async t => {
    const test = await filled(t)
    const { report, repositories } = await run(test, true)
    const manifest = `${TEAM} shared with others,only old,shared with new`
    assert.deepEqual(report, {
      repositories: 1,
      tags: 1,
      untagged: 0,
      bytes: manifest.length + 'only old'.length,
    })
    assert.deepEqual(
      repositories.map(({ removed }) => removed.map(one => one.tag)),
      [['old']],
    )
    assert.ok(test.store.metadata.getTag(TEAM, tag('old')))
  })

  it('frees in truth what the dry run said', async t => {
    const test = await filled(t)
    const { report: said } = await run(test, true)
    await run(test, false)
    assert.equal(test.store.metadata.getTag(TEAM, tag('old')), undefined)
    assert.ok(test.store.metadata.getTag(repository('other'), tag('old')))
    const { bytes } = await collectGarbage(test.store, {
      olderThanMs: HOUR_MS,
      dryRun: false,
      now: test.clock.now,
      signal: NO_SIGNAL,
    })
    assert.equal(bytes, said.bytes)
    assert.deepEqual((await run(test, false)).report, { repositories: 1, tags: 0, untagged: 0 })
  })

  it('tells of each tag and manifest that it removed, when it is gone', async t => {
    const test = await filled(t)
    const { metadata } = test.store
    const untagged = await put(test.store, TEAM, ['gone'], ['untagged'])
    metadata.deleteTag(TEAM, tag('gone'))
    const old = metadata.getTag(TEAM, tag('old'))?.digest
    test.clock.pass(DAY)
    const removed: RemovedManifest[] = []
    await run(test, true, 0, one => removed.push(one))
    assert.equal(removed.length, 0)
    await run(test, false, 0, one => removed.push(one))
    const mediaType = MEDIA_TYPE.ociManifest
    assert.deepEqual(
      removed.map(one => ({ ...one, size: typeof one.size })),
      [
        { repository: TEAM, digest: old, tag: 'old', mediaType, size: 'number' },
        { repository: TEAM, digest: untagged, mediaType, size: 'number' },
        { repository: TEAM, digest: old, mediaType, size: 'number' },
      ],
    )
  })

  it('spares a tag that was pushed again meanwhile', async t => {
    const test = await filled(t)
    const { metadata } = test.store
    const plain = metadata.deleteTag
    let again = true
    t.mock.method(metadata, 'deleteTag', (...args: Parameters<typeof plain>) => {
      if (again) {
        again = false
        const record = metadata.getManifest(TEAM, metadata.getTag(TEAM, tag('new'))?.digest ?? args[2]!)
        if (record !== undefined) metadata.putManifest(TEAM, record, [tag('old')])
      }
      return plain(...args)
    })
    const { report } = await run(test, false)
    assert.equal(report.tags, 0)
    assert.ok(metadata.getTag(TEAM, tag('old')))
  })

  it('removes manifests that have lost their tags, but none that came to be used', async t => {
    const test = await filled(t)
    const { store } = test
    store.metadata.deleteTag(TEAM, tag('old'))
    const used = await put(store, TEAM, [], ['used'])
    const { report } = await run(test, false, 7 * DAY)
    assert.equal(report.untagged, 1)
    assert.ok(store.metadata.getManifest(TEAM, used))
  })
})
