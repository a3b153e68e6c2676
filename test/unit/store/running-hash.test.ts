import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tryLoadSha256 } from '../../../src/linux/sha256.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  nativeHash,
  parseSavedHash,
  pooledHash,
  portableHash,
  type RunningHash,
} from '../../../src/store/running-hash.ts'
import { noise } from './support.ts'

const BYTES = noise(10_000)

const sha256 = await tryLoadSha256()
assert.ok(sha256, 'this Node.js lets its OpenSSL be called')

function update(hash: RunningHash, end: number, step: number): RunningHash {
  for (let at = hash.offset; at < end; at += step) hash.update(BYTES.subarray(at, Math.min(at + step, end)))
  return hash
}

describe('a running hash', () => {
  for (const [name, create] of [
    ['native', () => nativeHash()],
    ['pooled', () => pooledHash(sha256())],
    ['portable', () => portableHash()],
  ] as const)
    it(`in ${name} form tells the digest at any point, and goes on`, () => {
      const hash = create()
      for (const end of [0, 1, 63, 64, 65, 127, 128, 1000, 10_000]) {
        update(hash, end, 333)
        assert.equal(hash.offset, end)
        assert.equal(hash.digest(), digestOf(BYTES.subarray(0, end)), `${end} bytes`)
      }
    })

  it('in pooled form hashes large chunks aside, of many ingests at once', async () => {
    const bytes = noise(1_000_000)
    const one = async (step: number): Promise<void> => {
      const hash = pooledHash(sha256())
      for (let at = 0; at < bytes.length; at += step) {
        await hash.updateAside(bytes.subarray(at, at + step))
        if (at % 7 === 0) assert.equal(hash.digest(), digestOf(bytes.subarray(0, hash.offset)))
      }
      assert.equal(hash.offset, bytes.length)
      assert.equal(hash.digest(), digestOf(bytes))
    }
    await Promise.all([1000, 65_536, 65_537, 70_000, 100_001, 262_144, 1_000_000].map(one))
  })

  it('in portable form goes on from what was saved, wherever in a block that was', () => {
    for (const cut of [0, 1, 3, 55, 56, 63, 64, 65, 4096, 9999]) {
      const first = update(portableHash(), cut, 97)
      const saved = parseSavedHash(JSON.parse(JSON.stringify(first.save())))
      assert.ok(saved)
      assert.equal(saved.digest, digestOf(BYTES.subarray(0, cut)))
      const second = portableHash(saved)
      assert.ok(second)
      assert.equal(update(second, BYTES.length, 1001).digest(), digestOf(BYTES), `cut at ${cut}`)
    }
  })

  it('in native form saves its digest, and no state to go on from', () => {
    const saved = update(nativeHash(), 100, 100).save()
    assert.deepEqual(saved, { offset: 100, digest: digestOf(BYTES.subarray(0, 100)) })
    assert.equal(portableHash(saved), undefined)
  })

  it('counts beyond 32 bits', () => {
    const start = 2 ** 32 + 64
    const { state, digest } = portableHash().save()
    assert.ok(state)
    const hash = portableHash({ offset: start, digest, state })
    hash?.update(BYTES)
    assert.equal(hash?.offset, start + BYTES.length)
    const saved = hash?.save()
    assert.deepEqual(parseSavedHash(saved), saved)
  })

  it('is not read from what nobody saved', () => {
    const good = update(portableHash(), 70, 70).save()
    const bad: readonly unknown[] = [
      null,
      [],
      'text',
      {},
      { ...good, offset: -1 },
      { ...good, offset: 1.5 },
      { ...good, offset: '70' },
      { ...good, digest: 'sha256:12' },
      { ...good, state: 7 },
      { ...good, state: { ...good.state, words: [1, 2, 3] } },
      { ...good, state: { ...good.state, words: Array(8).fill('1') } },
      { ...good, state: { ...good.state, block: '' } },
      { ...good, state: { words: good.state?.words } },
    ]
    for (const value of bad) assert.equal(parseSavedHash(value), undefined, JSON.stringify(value))
  })
})
