import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatIDs, isMapped, isOfOrdinaryUser, parseIDMap } from '../../../src/linux/id-map.ts'

const ORDINARY = '         0       1001          1\n         1     100000      65536\n'

test('parseIDMap() reads the ranges as the kernel shows them', () => {
  assert.deepEqual(parseIDMap(ORDINARY), [
    { inside: 0, outside: 1001, count: 1 },
    { inside: 1, outside: 100000, count: 65536 },
  ])
  assert.deepEqual(parseIDMap(''), [])
})

test('isMapped() knows the first and the last id of each range', () => {
  const map = parseIDMap(ORDINARY)
  assert.deepEqual(
    [0, 1, 65536, 65537].map(id => isMapped(map, id)),
    [true, true, true, false],
  )
})

test('formatIDs() joins ranges that follow each other', () => {
  assert.equal(formatIDs(parseIDMap(ORDINARY)), '0-65536')
  assert.equal(formatIDs(parseIDMap('0 1000 1\n')), '0')
  assert.equal(formatIDs(parseIDMap('5 9 2\n0 1000 1\n')), '0, 5-6')
})

test('isOfOrdinaryUser() tells a namespace of one user from those of containers and of the machine', () => {
  const isOrdinary = (map: string) => isOfOrdinaryUser({ uids: parseIDMap(map), gids: parseIDMap(map) })
  assert.equal(isOrdinary(ORDINARY), true)
  assert.equal(isOrdinary('0 1000 1\n'), true)
  assert.equal(isOrdinary('0 100000 65536\n'), false)
  assert.equal(isOrdinary('0 0 4294967295\n'), false)
})
