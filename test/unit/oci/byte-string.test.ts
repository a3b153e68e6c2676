import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  byteStringFrom,
  byteStringOf,
  bytesOf,
  compareByteStrings,
  displayText,
} from '../../../src/oci/byte-string.ts'

test('a byte string keeps any bytes', () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  assert.deepEqual(bytesOf(byteStringFrom(all)), all)
  assert.equal(byteStringFrom(all).length, 256)
})

test('byteStringFrom() reads a view, not the memory behind it', () => {
  assert.equal(byteStringFrom(new Uint8Array(Buffer.from('abcd')).subarray(1, 3)), 'bc')
})

test('byteStringOf() takes the UTF-8 bytes of text, displayText() gives the text back', () => {
  assert.equal(byteStringOf('abc'), 'abc')
  assert.equal(byteStringOf('ü'), '\xc3\xbc')
  for (const text of ['', 'plain', 'Grüße', '日本', '😀', 'a\u007f\u0080']) {
    assert.deepEqual(bytesOf(byteStringOf(text)), Buffer.from(text))
    assert.equal(displayText(byteStringOf(text)), text)
  }
})

test('displayText() shows bytes that are not UTF-8 as U+FFFD', () => {
  assert.equal(displayText(byteStringFrom(Buffer.from([0x61, 0xff, 0x62]))), 'a\ufffdb')
})

test('compareByteStrings() is the order of bytes, not of UTF-16', () => {
  const texts = ['', 'a', 'a/b', 'ab', 'z', '\uffee', '\u{1f600}']
  const sorted = texts.map(byteStringOf).reverse().sort(compareByteStrings)
  assert.deepEqual(sorted.map(displayText), texts)
  assert.deepEqual([...sorted].sort(), sorted)
})
