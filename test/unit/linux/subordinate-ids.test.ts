import assert from 'node:assert/strict'
import { test } from 'node:test'
import { afterSubordinateIDs, parseSubordinateIDs } from '../../../src/linux/subordinate-ids.ts'

const SUBUID = 'root:1:5\nme:100000:65536\n# a comment\nother:200000:65536\n1001:300000:10\nme:x:3\nme:5:0\n'

test('parseSubordinateIDs() finds the ranges of a user by name and by number', () => {
  assert.deepEqual(parseSubordinateIDs(SUBUID, { name: 'me', uid: 1001 }), [
    { start: 100000, count: 65536 },
    { start: 300000, count: 10 },
  ])
})

test('parseSubordinateIDs() finds none for a user who has no line, nor a name', () => {
  assert.deepEqual(parseSubordinateIDs(SUBUID, { name: undefined, uid: 77 }), [])
  assert.deepEqual(parseSubordinateIDs('', { name: 'me', uid: 1 }), [])
})

test('parseSubordinateIDs() leaves out ids that do not exist', () => {
  const text = 'me:4294967290:6\nme:4294967285:5\nme:99999999999999999999:1\n'
  assert.deepEqual(parseSubordinateIDs(text, { name: 'me', uid: 1 }), [{ start: 4_294_967_285, count: 5 }])
})

test('afterSubordinateIDs() is above the ids of everyone, and of users themselves', () => {
  assert.equal(afterSubordinateIDs(SUBUID), 300_010)
  assert.equal(afterSubordinateIDs(''), 100_000)
})
