import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createCacheKey } from '../../../../src/builder/ops/cache-key.ts'

describe('createCacheKey()', () => {
  it('semantics 101: tells apart what would read the same when joined', () => {
    const keys = [
      createCacheKey('env', [['A', 'b C=d']]),
      createCacheKey('env', [
        ['A', 'b'],
        ['C', 'd'],
      ]),
      createCacheKey('env', [
        ['A', ''],
        ['b', 'C'],
        ['d', ''],
      ]),
      createCacheKey('envA', [['', 'b C=d']]),
      createCacheKey('env', [
        ['A', '1:b'],
        ['', ''],
      ]),
      createCacheKey('env', []),
    ].map(key => key.digest)
    assert.equal(new Set(keys).size, keys.length)
  })

  it('is the same for the same parts, and keeps them', () => {
    const key = createCacheKey('copy', [['a', 'é']])
    assert.deepEqual(createCacheKey('copy', [['a', 'é']]), key)
    assert.deepEqual(key.parts, [
      ['kind', 'copy'],
      ['a', 'é'],
    ])
  })
})
