import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { tryLoadSha256 } from '../../../src/linux/sha256.ts'

const create = await tryLoadSha256()

describe('tryLoadSha256()', { skip: create === undefined && 'OpenSSL cannot be called here' }, () => {
  it('hashes for more uploads at once than the FFI library has calls', async () => {
    assert.ok(create)
    const content = Buffer.alloc(100_000, 'slipway')
    const digests = await Promise.all(
      Array.from({ length: 600 }, async () => {
        const hash = create()
        await hash.updateInPool(content)
        return hash.digest().toString('hex')
      }),
    )
    assert.deepEqual(new Set(digests), new Set([createHash('sha256').update(content).digest('hex')]))
  })
})
