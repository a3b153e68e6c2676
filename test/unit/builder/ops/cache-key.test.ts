import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { createCacheKey } from '../../../../src/builder/ops/cache-key.ts'
import { digestOf } from '../../../../src/oci/digest.ts'

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

test('a key of many and long parts is the digest of each framed by its bytes, one after the other', () => {
  const odd = ['', 'é', '\ud800', 'x\udc00', '9'.repeat(20_000), '😀'.repeat(9000)]
  const parts = Array.from({ length: 60 }, (_, at): [string, string] => [
    odd[at % odd.length] ?? '',
    odd[(at * 5 + 1) % odd.length] ?? '',
  ])
  const framed = ['copy', ...parts.flat()].map(text => {
    const bytes = Buffer.from(text, 'utf8')
    return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes])
  })
  assert.equal(createCacheKey('copy', parts).digest, digestOf(Buffer.concat(framed)))
})
