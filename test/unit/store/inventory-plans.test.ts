import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import type { Database } from '../../../src/store/database.ts'
import { createInventory } from '../../../src/store/inventory-rows.ts'
import { openStore } from '../../../src/store/open.ts'
import { putContent, repository, tag, temporaryStore } from './support.ts'

const APP = repository('team/app')

/** Every statement that goes through the database, as SQLite plans it. */
function watchPlans(t: TestContext, database: Database): () => readonly string[] {
  const statements = new Set<string>()
  for (const method of ['one', 'all', 'run'] as const) {
    const plain = database[method].bind(database) as (sql: string, ...values: never[]) => never
    t.mock.method(database, method, (sql: string, ...values: never[]) => {
      statements.add(sql)
      return plain(sql, ...values)
    })
  }
  return () => {
    t.mock.restoreAll()
    assert.ok(statements.size > 0)
    return [...statements].flatMap(sql =>
      database
        .all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, ...Array<number>(countValues(sql)).fill(1))
        .map(({ detail }) => `${detail}  --  ${sql}`),
    )
  }
}

function countValues(sql: string): number {
  const numbered = [...sql.matchAll(/\?(\d+)/g)].map(match => Number(match[1]))
  return numbered.length > 0 ? Math.max(...numbered) : [...sql.matchAll(/\?/g)].length
}

/**
 * A walk over a whole table or index, or a sort of more than is asked for. (`needed` is what one manifest needs; the
 * partial index has nothing but what is asked for.)
 */
const SLOW = /^(?:SCAN (?!needed|n$|\(subquery|m USING INDEX manifests_undescribed)|USE TEMP B-TREE)/

describe('plans of the inventory', () => {
  it('walk over no table and sort nothing', async t => {
    const { store } = await temporaryStore(t)
    const { database } = store.disk
    const plans = watchPlans(t, database)
    const inventory = createInventory(database)
    const layer = await putContent(store.content, 'x')
    store.metadata.linkBlob(APP, layer)
    const after = { value: 5, name: 'x' }
    for (const order of ['name', 'pushed', 'pulled', 'size'] as const)
      inventory.listRepositories({ order, search: 'x', after, limit: 10 })
    for (const order of ['name', 'pushed'] as const) inventory.listTags(APP, { order, after, limit: 10 })
    inventory.getRepository(APP)
    const digest = await putContent(store.content, 'manifest')
    const record = { digest, mediaType: MEDIA_TYPE.ociManifest, size: 8, references: [layer] }
    store.metadata.putManifest(APP, record, [tag('1')])
    assert.equal(inventory.bytesFreedByTag(APP, tag('1')), 9)
    inventory.getManifest(APP, digest)
    inventory.tagsOf(APP, digest, 10)
    inventory.totals()
    inventory.quotaUsage('team')
    inventory.bytesNewBelow('team', { digest, size: 1 })
    inventory.recordPulls([{ repository: APP, digest, at: 1 }])
    assert.deepEqual(
      plans().filter(plan => SLOW.test(plan)),
      [],
    )
  })

  it('decide rules, and describe manifests, by indexes too', async t => {
    const { root, clock } = await temporaryStore(t)
    const rules = { isImmutable: () => true, quotas: [{ prefix: 'team', limit: 100 }] }
    using store = await openStore({ root, now: clock.now, rules })
    const plans = watchPlans(t, store.disk.database)
    const { describeManifests } = await import('../../../src/store/describe.ts')
    await describeManifests(store, new AbortController().signal)
    store.metadata.deleteTag(APP, tag('1'))
    assert.deepEqual(
      plans().filter(plan => SLOW.test(plan)),
      [],
    )
  })
})
