import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseConfig } from '../../../../src/cli/config/config.ts'
import { LIMIT_KEYS, limitSettings } from '../../../../src/cli/config/limits.ts'
import { DEFAULT_LIMITS } from '../../../../src/oci/limits.ts'
import { DEFAULT_TIMEOUTS } from '../../../../src/remote/transport.ts'

const refuse = (place: readonly string[], problem: string): Error =>
  new Error(`${place.join('.')} ${problem}`)

test('limitSettings() has a default for each key, and reads counts, sizes and times', () => {
  assert.deepEqual(limitSettings({}, refuse), { contentLimits: DEFAULT_LIMITS, timeouts: DEFAULT_TIMEOUTS })
  const { contentLimits, timeouts } = limitSettings(
    { 'archive-entries': 5, 'archive-bytes': '2g', 'connect-timeout': '3s', 'requests-per-minute': 1 },
    refuse,
  )
  assert.deepEqual(contentLimits, { ...DEFAULT_LIMITS, archiveEntries: 5, archiveBytes: 2 * 1024 ** 3 })
  assert.deepEqual(timeouts, { ...DEFAULT_TIMEOUTS, connectMs: 3000 })
})

test('a limit that is no size, no time or nothing at all is refused with its line', async () => {
  const cases: readonly (readonly [line: string, problem: RegExp])[] = [
    ['archive-entries = 0', /:2: limits.archive-entries is 0, want a number from 1$/],
    ['archive-bytes = "much"', /:2: limits.archive-bytes is "much", want a size such as 64m$/],
    ['idle-timeout = "0"', /:2: limits.idle-timeout is "0", want a time such as 30s$/],
    ['pax-bytes = 5', /:2: limits.pax-bytes must be a string/],
    ['archive-entires = 5', /:2: limits.archive-entires is not a known key; the nearest is archive-entries$/],
  ]
  for (const [line, message] of cases)
    await assert.rejects(parseConfig(`[limits]\n${line}\n`, 'slipway.toml'), {
      code: 'config-invalid-file',
      message,
    })
})

test('the documentation tells of every limit, with its default', async () => {
  const text = readFileSync(new URL('../../../../docs/configuration.md', import.meta.url), 'utf8')
  const documented = new Map(
    Array.from(text.matchAll(/^\| `([a-z-]+)` \| `("?[0-9]+[a-z]?"?)` \|/gm), ([, key = '', value = '']) => [
      key,
      value,
    ]),
  )
  assert.deepEqual([...documented.keys()], Object.keys(LIMIT_KEYS))
  const lines = [...documented].map(([key, value]) => `${key} = ${value}`)
  const file = await parseConfig(`[limits]\n${lines.join('\n')}\n`, 'slipway.toml')
  assert.deepEqual(limitSettings(file.limits ?? {}, refuse), limitSettings({}, refuse))
})
