import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fitText, textWidth } from '../../../../src/cli/progress/text-width.ts'
import { formatAddress, localAddress, parseListen } from '../../../../src/cli/serve/listen.ts'
import { parseDuration } from '../../../../src/cli/text/duration.ts'
import { formatAge, formatBytes } from '../../../../src/cli/text/format.ts'
import { printable, printableLine } from '../../../../src/cli/text/printable.ts'
import { formatTable } from '../../../../src/cli/text/table.ts'

describe('formatBytes()', () => {
  const sizes: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 kB'],
    [1500, '1.5 kB'],
    [10_040, '10 kB'],
    [99_900, '99.9 kB'],
    [123_456, '123 kB'],
    [999_499, '999 kB'],
    [999_500, '1 MB'],
    [29_126_484, '29.1 MB'],
    [5_000_000_000, '5 GB'],
    [2e15, '2000 TB'],
  ]
  for (const [bytes, text] of sizes) {
    it(`is ${text} for ${bytes}`, () => assert.equal(formatBytes(bytes), text))
  }
})

describe('formatAge()', () => {
  const now = Date.parse('2026-06-15T12:00:00Z')
  const ages: readonly (readonly [string | undefined, string])[] = [
    ['2026-06-15T12:00:00Z', '0 seconds ago'],
    ['2026-06-15T11:59:59.000Z', '1 second ago'],
    ['2026-06-15T11:59:00Z', '1 minute ago'],
    ['2026-06-15T09:00:00Z', '3 hours ago'],
    ['2026-06-14T12:00:00Z', '1 day ago'],
    ['2026-06-02T12:00:00Z', '13 days ago'],
    ['2026-06-01T12:00:00Z', '2 weeks ago'],
    ['2026-03-15T12:00:00Z', '3 months ago'],
    ['2020-06-15T12:00:00.123456789Z', '6 years ago'],
    ['2030-01-01T00:00:00Z', '0 seconds ago'],
    ['not a time', '-'],
    [undefined, '-'],
  ]
  for (const [created, text] of ages) {
    it(`is ${JSON.stringify(text)} for ${created}`, () => assert.equal(formatAge(created, now), text))
  }
})

describe('parseDuration()', () => {
  const durations: readonly (readonly [string, number | undefined])[] = [
    ['0', 0],
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['5', undefined],
    ['-1h', undefined],
    ['1.5h', undefined],
    ['h', undefined],
    ['1w', undefined],
    ['', undefined],
    ['9999999999d', undefined],
  ]
  for (const [text, milliseconds] of durations) {
    it(`reads ${JSON.stringify(text)} as ${milliseconds}`, () =>
      assert.equal(parseDuration(text), milliseconds))
  }
})

describe('textWidth() and fitText()', () => {
  it('count columns, not characters', () => {
    assert.equal(textWidth('abc'), 3)
    assert.equal(textWidth('日本'), 4)
    assert.equal(textWidth('e\u0301'), 1)
    assert.equal(textWidth('🚀'), 2)
    assert.equal(textWidth('a\u200db'), 2)
  })

  it('cut to the columns there are', () => {
    assert.equal(fitText('abcdef', 6), 'abcdef')
    assert.equal(fitText('abcdef', 5), 'abcd…')
    assert.equal(fitText('日本語', 5), '日本…')
    assert.equal(fitText('日本語', 4), '日…')
    assert.equal(fitText('ab', 1), '…')
    assert.equal(fitText('ab', 0), '')
  })
})

describe('formatTable()', () => {
  it('aligns columns by what they take on a terminal, and leaves the last one as it is', () => {
    assert.equal(
      formatTable(
        ['NAME', 'SIZE'],
        [
          ['app', '1 B'],
          ['日本語', '12 kB'],
        ],
      ),
      'NAME     SIZE\napp      1 B\n日本語   12 kB\n',
    )
  })

  it('has a heading without rows', () => {
    assert.equal(formatTable(['A', 'B'], []), 'A   B\n')
  })
})

describe('printable()', () => {
  it('shows every control and direction mark, and keeps the rest', () => {
    assert.equal(printable('a\tb\nc'), 'a\tb\nc')
    assert.equal(printable('\x1b[31m\x9b1m\r\x7f\x00'), '\\u001b[31m\\u009b1m\\u000d\\u007f\\u0000')
    assert.equal(printable('\u202e\u2066\u200f\u061c'), '\\u202e\\u2066\\u200f\\u061c')
    assert.equal(printable('é 日本 🚀'), 'é 日本 🚀')
  })

  it('leaves one line where only one is wanted', () => {
    assert.equal(printableLine('a\nerror: b'), 'a error: b')
  })
})

describe('parseListen()', () => {
  const addresses: readonly (readonly [string, string, number, string])[] = [
    ['127.0.0.1:5000', '127.0.0.1', 5000, '127.0.0.1:5000'],
    [':5000', '0.0.0.0', 5000, '127.0.0.1:5000'],
    ['0.0.0.0:0', '0.0.0.0', 0, '127.0.0.1:0'],
    ['[::1]:80', '::1', 80, '[::1]:80'],
    ['[::]:80', '::', 80, '127.0.0.1:80'],
    ['host.name:65535', 'host.name', 65_535, 'host.name:65535'],
  ]
  for (const [text, host, port, local] of addresses) {
    it(`reads ${text}`, () => {
      const address = parseListen(text)
      assert.deepEqual(address, { host, port })
      assert.equal(formatAddress(localAddress(address)), local)
    })
  }

  for (const text of [
    '5000',
    'host',
    'host:',
    'host:65536',
    'host:-1',
    '::1:80',
    'http://host:80',
    'a b:80',
    '',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseListen(text), { code: 'usage', message: /HOST:PORT, not/ })
    })
  }
})
