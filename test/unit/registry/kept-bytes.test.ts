import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { createKeptBytes } from '../../../src/registry/kept-bytes.ts'

describe('createKeptBytes()', () => {
  const content = (number: number, length = 10) => {
    const bytes = Buffer.alloc(length, String(number))
    return { bytes, digest: digestOf(bytes) }
  }

  it('forgets what was not used for longest when there is too much', () => {
    const kept = createKeptBytes(640)
    const all = Array.from({ length: 65 }, (_, number) => content(number + 100))
    for (const { digest, bytes } of all.slice(0, 64)) kept.put(digest, bytes)
    const [first, second] = all
    assert.deepEqual(first && kept.get(first.digest), first?.bytes)
    const last = all.at(-1)
    if (last !== undefined) kept.put(last.digest, last.bytes)
    assert.deepEqual(first && kept.get(first.digest), first?.bytes)
    assert.equal(second && kept.get(second.digest), undefined)
  })

  it('keeps nothing that is large, and nothing twice', () => {
    const kept = createKeptBytes(640)
    const large = content(1, 11)
    kept.put(large.digest, large.bytes)
    assert.equal(kept.get(large.digest), undefined)
    const small = content(2)
    for (let time = 0; time < 200; time++) kept.put(small.digest, small.bytes)
    assert.deepEqual(kept.get(small.digest), small.bytes)
  })
})
