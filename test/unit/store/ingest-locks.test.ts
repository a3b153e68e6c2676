import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { IngestID } from '../../../src/oci/content.ts'
import { Database } from '../../../src/store/database.ts'
import { createIngestLocks } from '../../../src/store/ingest-locks.ts'
import { migrate } from '../../../src/store/schema.ts'
import { rejectsWith } from './support.ts'

const [FIRST, SECOND] = ['first', 'second'] as unknown as readonly [IngestID, IngestID]

describe('createIngestLocks()', () => {
  function twoOwners() {
    const database = new Database(':memory:')
    migrate(database)
    return { database, ours: createIngestLocks(database), others: createIngestLocks(database) }
  }

  /** What a full disk does to the database. */
  function withoutWrites(database: Database, action: () => void): void {
    database.exec('PRAGMA query_only = 1')
    action()
    database.exec('PRAGMA query_only = 0')
  }

  it('gives an ingest to one owner at a time', () => {
    const { ours, others } = twoOwners()
    assert.equal(ours.take(FIRST), true)
    assert.equal(others.take(FIRST), false)
    ours.free(FIRST)
    assert.equal(others.take(FIRST), true)
  })

  it('frees with the next lock what could not be freed at once', () => {
    const { database, ours, others } = twoOwners()
    ours.take(FIRST)
    ours.take(SECOND)
    withoutWrites(database, () => ours.free(FIRST))
    ours.free(SECOND)
    assert.equal(others.isHeld(FIRST), false)
  })

  it('holds nothing that it could not take', () => {
    const { database, ours } = twoOwners()
    withoutWrites(database, () => assert.throws(() => ours.take(FIRST), rejectsWith('store-denied')))
    assert.equal(ours.isHeld(FIRST), false)
    assert.equal(ours.take(FIRST), true)
  })
})
