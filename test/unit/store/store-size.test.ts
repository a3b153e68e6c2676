import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Database } from '../../../src/store/database.ts'
import { migrate } from '../../../src/store/schema.ts'
import { measureStore } from '../../../src/store/store-size.ts'

describe('measureStore()', () => {
  it('adds up more blobs than it reads at once', async () => {
    const database = new Database(':memory:')
    migrate(database)
    assert.deepEqual(await measureStore(database), { blobs: 0, bytes: 0, uploads: 0 })
    database.write(() => {
      for (let number = 0; number < 9001; number++)
        database.run(
          'INSERT INTO blobs (digest, size, touched_at) VALUES (?, ?, 0)',
          `sha256:${number}`,
          number,
        )
      database.run("INSERT INTO uploads (id, repository, created_at) VALUES ('a', 'app', 0)")
    })
    assert.deepEqual(await measureStore(database), { blobs: 9001, bytes: (9000 * 9001) / 2, uploads: 1 })
    database.close()
  })
})
