import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imageConfigBytes, parseImageConfig } from '../../../src/oci/config.ts'
import { digestOf } from '../../../src/oci/digest.ts'

const minimal = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digestOf('a')] } }
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

test('parseImageConfig() fills in what may be absent', () => {
  const config = parseImageConfig(bytes(minimal))
  assert.deepEqual(config.config, {})
  assert.deepEqual(config.history, [])
  assert.deepEqual(config.rootfs.diff_ids, [digestOf('a')])
  assert.equal('variant' in parseImageConfig(bytes({ ...minimal, variant: '' })), false)
})

test('what is read is written back, unknown fields as well', () => {
  const full = {
    architecture: 'arm',
    variant: 'v7',
    os: 'linux',
    'os.version': '1',
    'os.features': ['a'],
    author: 'me',
    config: { Env: ['A=b'], Cmd: ['sh'], Labels: { a: 'b' }, Volumes: { '/v': {} }, OwnField: { x: [1] } },
    created: '2026-01-01T00:00:00Z',
    history: [{ created_by: 'RUN x', empty_layer: true }],
    rootfs: minimal.rootfs,
    docker_version: '20.10',
    'moby.buildkit.cache.v0': { deep: [1, { a: null }] },
  }
  assert.deepEqual(JSON.parse(imageConfigBytes(parseImageConfig(bytes(full))).toString()), full)
})

test('equal configs have equal bytes, whatever the order of the keys was', () => {
  const turned = { rootfs: minimal.rootfs, os: 'linux', architecture: 'amd64' }
  assert.deepEqual(
    imageConfigBytes(parseImageConfig(bytes(turned))),
    imageConfigBytes(parseImageConfig(bytes(minimal))),
  )
})

test('null in a runtime config means absent', () => {
  const { config } = parseImageConfig(bytes({ ...minimal, config: { Cmd: null, Env: null, User: 'me' } }))
  assert.deepEqual(config, { User: 'me' })
  assert.deepEqual(parseImageConfig(bytes({ ...minimal, config: null })).config, {})
})

test('names of Object.prototype are fields as others are', () => {
  const text = `{"architecture":"a","os":"l","rootfs":{"diff_ids":[]},"config":{"hasOwnProperty":1,"toString":2}}`
  const { config } = parseImageConfig(Buffer.from(text))
  assert.deepEqual({ ...config }, { hasOwnProperty: 1, toString: 2 })
})

const bad: readonly [name: string, value: unknown, problem: RegExp][] = [
  ['no object', [], /not a JSON object/],
  ['no os', { ...minimal, os: undefined }, /os or architecture is missing/],
  ['no rootfs', { ...minimal, rootfs: undefined }, /rootfs.diff_ids is missing/],
  ['diff_ids that are no digests', { ...minimal, rootfs: { diff_ids: ['x'] } }, /rootfs.diff_ids holds "x"/],
  ['a config that is a list', { ...minimal, config: [] }, /config is not an object/],
  ['an Env that is text', { ...minimal, config: { Env: 'A=b' } }, /config.Env is "A=b"/],
  ['Labels of numbers', { ...minimal, config: { Labels: { a: 1 } } }, /config.Labels/],
  ['Volumes that are a list', { ...minimal, config: { Volumes: ['/v'] } }, /config.Volumes/],
  ['a Cmd of numbers', { ...minimal, config: { Cmd: [1] } }, /config.Cmd/],
]
for (const [name, value, message] of bad) {
  test(`parseImageConfig() refuses ${name}`, () => {
    assert.throws(() => parseImageConfig(bytes(value)), { code: 'config-invalid', message })
  })
}

test('what Go escapes is escaped, so that a config has the bytes that BuildKit writes', () => {
  const config = parseImageConfig(
    bytes({
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: [] },
      history: [{ created_by: 'RUN a && b <c >d # é' }],
    }),
  )
  assert.equal(
    imageConfigBytes(config).toString(),
    '{"architecture":"amd64","config":{},"history":[{"created_by":"RUN a \\u0026\\u0026 b \\u003cc \\u003ed # é"}],' +
      '"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
  )
})
