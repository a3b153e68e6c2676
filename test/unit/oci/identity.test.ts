import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import { chainID, extendChain } from '../../../src/oci/identity.ts'

const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')]

test('chainID() of no layers is undefined, of one its diffID', () => {
  assert.equal(chainID([]), undefined)
  assert.equal(chainID([a]), a)
})

test('chainID() hashes the chain below, a space, and the diffID (config.md#layer-chainid)', () => {
  assert.equal(chainID([a, b]), digestOf(`${a} ${b}`))
  assert.equal(chainID([a, b, c]), digestOf(`${digestOf(`${a} ${b}`)} ${c}`))
})

test('chainID() depends on the order, and extendChain() adds one layer', () => {
  assert.notEqual(chainID([a, b]), chainID([b, a]))
  assert.equal(extendChain(chainID([a, b]), c), chainID([a, b, c]))
  assert.equal(extendChain(undefined, a), a)
})
