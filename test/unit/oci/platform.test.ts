import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPlatform, parsePlatform, platformMatch, platformOfHost } from '../../../src/oci/platform.ts'

const host = { os: 'linux', architecture: 'amd64' }
const parse = (text: string) => parsePlatform(text, host)

const texts: readonly [text: string, formatted: string][] = [
  ['linux/amd64', 'linux/amd64'],
  ['linux/x86_64', 'linux/amd64'],
  ['linux/aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/amd64/v1', 'linux/amd64'],
  ['linux/amd64/v3', 'linux/amd64/v3'],
  ['linux/arm/v6', 'linux/arm/v6'],
  ['linux/arm/7', 'linux/arm/v7'],
  ['linux/armhf', 'linux/arm/v7'],
  ['Linux/ARM64', 'linux/arm64'],
  ['arm64', 'linux/arm64'],
  ['windows', 'windows/amd64'],
  ['s390x', 'linux/s390x'],
  ['aarch64', 'linux/arm64'],
  ['linux/unheard', 'linux/unheard'],
  ['linux/riscv64', 'linux/riscv64'],
]
for (const [text, formatted] of texts) {
  test(`parsePlatform() makes ${text} ${formatted}`, () => {
    assert.equal(formatPlatform(parse(text)), formatted)
  })
}

for (const text of ['', '/', 'linux/', 'linux/amd64/v1/x', 'linux/a b', 'linux//v8', 'foo', 'v7']) {
  test(`parsePlatform() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parse(text), { code: 'platform-invalid' })
  })
}

test("platformOfHost() speaks the specification's words", () => {
  assert.deepEqual(platformOfHost('linux', 'x64'), { os: 'linux', architecture: 'amd64' })
  assert.deepEqual(platformOfHost('linux', 'arm64'), { os: 'linux', architecture: 'arm64' })
  assert.deepEqual(platformOfHost('linux', 'arm'), { os: 'linux', architecture: 'arm', variant: 'v7' })
})

test('platformMatch() is 0 for what cannot run, and best for the nearest variant', () => {
  const match = (have: string, want: string) => platformMatch(parse(have), parse(want))
  assert.equal(match('linux/arm64', 'linux/amd64'), 0)
  assert.equal(match('windows/amd64', 'linux/amd64'), 0)
  assert.equal(match('linux/arm/v7', 'linux/arm/v6'), 0)
  assert.equal(match('linux/amd64/v3', 'linux/amd64'), 0)
  assert.ok(match('linux/arm/v7', 'linux/arm/v7') > match('linux/arm/v6', 'linux/arm/v7'))
  assert.ok(match('linux/arm/v6', 'linux/arm/v7') > match('linux/arm/v5', 'linux/arm/v7'))
  assert.ok(match('linux/arm/v5', 'linux/arm/v7') > 0)
  assert.equal(match('linux/arm64', 'linux/arm64/v8'), match('linux/amd64', 'linux/amd64'))
})
