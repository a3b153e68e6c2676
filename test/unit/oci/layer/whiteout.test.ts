import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteStringOf } from '../../../../src/oci/byte-string.ts'
import {
  isReservedName,
  opaqueWhiteoutEntry,
  type WhiteoutMeaning,
  whiteoutEntry,
  whiteoutMeaning,
} from '../../../../src/oci/layer/whiteout.ts'

const meanings: readonly [path: string, kind: WhiteoutMeaning['kind'], target?: string][] = [
  ['a', 'none'],
  ['a.wh.b', 'none'],
  ['dir/.whx', 'none'],
  ['.wh.a', 'whiteout', 'a'],
  ['dir/sub/.wh.a', 'whiteout', 'dir/sub/a'],
  ['dir/.wh..hidden', 'whiteout', 'dir/.hidden'],
  ['dir/.wh.a.wh.b', 'whiteout', 'dir/a.wh.b'],
  ['.wh..wh..opq', 'opaque', ''],
  ['dir/sub/.wh..wh..opq', 'opaque', 'dir/sub'],
  ['.wh..wh.aufs', 'ignored'],
  ['.wh..wh.orph', 'ignored'],
  ['.wh..wh.plnk/100.200', 'ignored'],
  ['dir/.wh..wh.anything', 'ignored'],
  ['.wh.', 'invalid'],
  ['dir/.wh.', 'invalid'],
  ['dir/.wh..', 'invalid'],
  ['dir/.wh...', 'invalid'],
  ['.wh.dir/file', 'invalid'],
]
for (const [path, kind, target] of meanings) {
  test(`whiteoutMeaning() takes ${path} for ${kind}`, () => {
    assert.deepEqual(
      whiteoutMeaning(byteStringOf(path)),
      target === undefined ? { kind } : { kind, path: target },
    )
  })
}

test('whiteoutEntry() and opaqueWhiteoutEntry() are what whiteoutMeaning() reads', () => {
  for (const path of ['a', 'a/b', '.x', 'a/.wh', 'dir/ü'].map(byteStringOf)) {
    assert.deepEqual(whiteoutMeaning(whiteoutEntry(path).path), { kind: 'whiteout', path })
    assert.deepEqual(whiteoutMeaning(opaqueWhiteoutEntry(path).path), { kind: 'opaque', path })
  }
  assert.equal(opaqueWhiteoutEntry(byteStringOf('')).path, '.wh..wh..opq')
})

test('isReservedName() is true for names that a layer cannot hold', () => {
  assert.equal(isReservedName(byteStringOf('.wh.x')), true)
  assert.equal(isReservedName(byteStringOf('.whx')), false)
})
