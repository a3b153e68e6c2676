import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRateLimit } from '../../../../src/registry/auth/rate-limit.ts'

describe('createRateLimit()', () => {
  it('lets a minute’s worth through at once, then one whenever there is one', () => {
    let now = 1_000_000
    const limit = createRateLimit(6, () => now)
    for (let count = 0; count < 6; count++) assert.equal(limit.take('a'), undefined)
    assert.equal(limit.take('a'), 10)
    assert.equal(limit.take('b'), undefined)
    now += 4_500
    assert.equal(limit.take('a'), 6)
    now += 5_500
    assert.equal(limit.take('a'), undefined)
    assert.equal(limit.take('a'), 10)
    now += 3_600_000
    for (let count = 0; count < 6; count++) assert.equal(limit.take('a'), undefined)
    assert.notEqual(limit.take('a'), undefined)
  })

  it('has no limit at 0, and takes back what was given back', () => {
    const none = createRateLimit(0, () => 0)
    for (let count = 0; count < 100; count++) assert.equal(none.take('a'), undefined)
    const one = createRateLimit(1, () => 0)
    for (let count = 0; count < 100; count++) {
      assert.equal(one.take('a'), undefined)
      one.giveBack('a')
    }
  })

  it('locks nobody out when the clock goes back', () => {
    let now = 1_000_000
    const limit = createRateLimit(1, () => now)
    assert.equal(limit.take('a'), undefined)
    now = 0
    assert.equal(limit.take('a'), 60)
  })

  it('remembers no more than so many', () => {
    const limit = createRateLimit(1, () => 0)
    for (let count = 0; count < 10_001; count++) limit.take(`${count}`)
    assert.equal(limit.take('0'), undefined)
    assert.equal(limit.take('9999'), 60)
  })
})
