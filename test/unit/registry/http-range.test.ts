import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RegistryError } from '../../../src/registry/errors.ts'
import { formatUploadRange, parseContentRange, parseRange } from '../../../src/registry/http-range.ts'

describe('parseRange()', () => {
  const rows: readonly (readonly [header: string | undefined, size: number, range: object | string])[] = [
    [undefined, 10, 'whole'],
    ['bytes=0-3', 10, { start: 0, end: 3 }],
    ['Bytes=0-3', 10, { start: 0, end: 3 }],
    ['bytes=4-', 10, { start: 4, end: 9 }],
    ['bytes=-3', 10, { start: 7, end: 9 }],
    ['bytes=-300', 10, { start: 0, end: 9 }],
    ['bytes=9-9', 10, { start: 9, end: 9 }],
    ['bytes=0-999999999999999999999999', 10, { start: 0, end: 9 }],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=10-20', 10, 'unsatisfiable'],
    ['bytes=99999999999999999999999-', 10, 'unsatisfiable'],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=-5', 0, 'unsatisfiable'],
    ['bytes=5-3', 10, 'unsatisfiable'],
    ['bytes=0-1,4-5', 10, 'whole'],
    ['bytes=-', 10, 'whole'],
    ['bytes=a-b', 10, 'whole'],
    ['items=0-3', 10, 'whole'],
    ['0-3', 10, 'whole'],
    ['bytes=1.5-3', 10, 'whole'],
    ['bytes=--3', 10, 'whole'],
  ]
  for (const [header, size, range] of rows) {
    it(`reads ${header} of ${size} bytes`, () => assert.deepEqual(parseRange(header, size), range))
  }
})

describe('parseContentRange()', () => {
  for (const header of [
    '0-499',
    'bytes 0-499/*',
    'bytes 0-499/1000',
    'bytes 0-499',
    'bytes=0-499',
    ' 0-499 ',
  ]) {
    it(`reads ${JSON.stringify(header)}`, () =>
      assert.deepEqual(parseContentRange(header), { start: 0, length: 500 }))
  }

  for (const header of [
    '',
    '5',
    '5-',
    '-5',
    '499-0',
    'a-b',
    '0-499,500-599',
    '0-1e3',
    `0-${'9'.repeat(30)}`,
  ]) {
    it(`refuses ${JSON.stringify(header)}`, () => {
      const isRefused = (error: unknown) => error instanceof RegistryError && error.code === 'upload-invalid'
      assert.throws(() => parseContentRange(header), isRefused)
    })
  }
})

describe('formatUploadRange()', () => {
  it('gives the last byte, and 0-0 for none', () => {
    assert.deepEqual([0, 1, 500].map(formatUploadRange), ['0-0', '0-0', '0-499'])
  })
})
