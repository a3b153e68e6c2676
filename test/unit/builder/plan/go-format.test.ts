import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatDuration, quote, quoteList, quoteNumber } from '../../../../src/builder/plan/go-format.ts'

describe('quote()', () => {
  const rows: readonly (readonly [text: string, quoted: string])[] = [
    ['', '""'],
    ['plain text', '"plain text"'],
    ['a "b" \\c', '"a \\"b\\" \\\\c"'],
    ['tab\tnew\nline', '"tab\\tnew\\nline"'],
    ['\x00\x1b\x7f', '"\\x00\\x1b\\x7f"'],
    ['é 日本 😀', '"é 日本 😀"'],
    ['\u00a0\u200b\ufeff', '"\\u00a0\\u200b\\ufeff"'],
    ['\u{e0001}', '"\\U000e0001"'],
  ]
  for (const [text, quoted] of rows) it(`writes ${quoted}`, () => assert.equal(quote(text), quoted))
})

describe('quoteList()', () => {
  it('has no commas', () => assert.equal(quoteList(['a', 'b c']), '["a" "b c"]'))
  it('writes an empty list', () => assert.equal(quoteList([]), '[]'))
})

describe('quoteNumber()', () => {
  const rows: readonly (readonly [value: number, quoted: string])[] = [
    [0, "'\\x00'"],
    [3, "'\\x03'"],
    [10, "'\\n'"],
    [34, `'"'`],
    [39, `'\\''`],
    [65, "'A'"],
    [-1, "'\ufffd'"],
    [0x110000, "'\ufffd'"],
  ]
  for (const [value, quoted] of rows)
    it(`writes ${value} as ${quoted}`, () => assert.equal(quoteNumber(value), quoted))
})

describe('formatDuration()', () => {
  const rows: readonly (readonly [nanoseconds: number, text: string])[] = [
    [0, '0s'],
    [1, '1ns'],
    [1_500, '1.5µs'],
    [20_000_000, '20ms'],
    [1_500_000_000, '1.5s'],
    [30e9, '30s'],
    [90e9, '1m30s'],
    [300e9, '5m0s'],
    [3600e9, '1h0m0s'],
    [3_661_500_000_000, '1h1m1.5s'],
    [1_000_000_001, '1.000000001s'],
  ]
  for (const [nanoseconds, text] of rows)
    it(`writes ${text}`, () => assert.equal(formatDuration(nanoseconds), text))
})
