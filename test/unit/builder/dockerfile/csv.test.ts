import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCsvRecord } from '../../../../src/builder/dockerfile/csv.ts'

describe('parseCsvRecord()', () => {
  const rows: readonly (readonly [string, readonly string[] | undefined])[] = [
    ['a,b', ['a', 'b']],
    ['', ['']],
    ['a,', ['a', '']],
    ['"a,b",c', ['a,b', 'c']],
    ['"a ""b""",c', ['a "b"', 'c']],
    ['a,"b"', ['a', 'b']],
    ['"a', undefined],
    ['"a"b,c', undefined],
    ['"a",', ['a', '']],
    ['a"b"', undefined],
  ]
  for (const [text, fields] of rows) {
    it(`splits ${JSON.stringify(text)}`, () => assert.deepEqual(parseCsvRecord(text), fields))
  }
})
