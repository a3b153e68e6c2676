import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  formatReference,
  isHost,
  isTag,
  onDockerHub,
  parseReference,
  parseRepositoryName,
  repositoryOf,
} from '../../../src/oci/reference.ts'

const digest = digestOf('x')

const good: readonly [text: string, want: ReturnType<typeof parseReference> | object][] = [
  ['app', { path: 'app' }],
  ['app:1.0', { path: 'app', tag: '1.0' }],
  ['team/app', { path: 'team/app' }],
  ['team/app:v1_2-3.4', { path: 'team/app', tag: 'v1_2-3.4' }],
  ['localhost/app', { registry: 'localhost', path: 'app' }],
  ['localhost:5000/app', { registry: 'localhost:5000', path: 'app' }],
  ['localhost:5000', { path: 'localhost', tag: '5000' }],
  ['docker.io/library/debian:12', { registry: 'docker.io', path: 'library/debian', tag: '12' }],
  ['Registry.Example.COM/app', { registry: 'registry.example.com', path: 'app' }],
  ['127.0.0.1:5000/a/b/c:t', { registry: '127.0.0.1:5000', path: 'a/b/c', tag: 't' }],
  ['[::1]:5000/app', { registry: '[::1]:5000', path: 'app' }],
  ['[fe80::1]/app', { registry: '[fe80::1]', path: 'app' }],
  [`app@${digest}`, { path: 'app', digest }],
  [`h.io:1/app:t@${digest}`, { registry: 'h.io:1', path: 'app', tag: 't', digest }],
  ['a__b/c.d/e---f', { path: 'a__b/c.d/e---f' }],
  [`app:${'t'.repeat(128)}`, { path: 'app', tag: 't'.repeat(128) }],
]
for (const [text, want] of good) {
  test(`parseReference() reads ${text.slice(0, 60)}`, () => {
    const reference = parseReference(text)
    assert.deepEqual(reference, want)
    assert.deepEqual(parseReference(formatReference(reference)), want)
  })
}

const bad: readonly [text: string, problem: RegExp][] = [
  ['', /the name is empty/],
  [':tag', /the name is empty/],
  ['App', /names are lower case/],
  ['a//b', /parts divided by/],
  ['/app', /parts divided by/],
  ['app/', /parts divided by/],
  ['a..b', /parts divided by/],
  ['a___b', /parts divided by/],
  ['-app', /parts divided by/],
  ['../etc', /parts divided by/],
  ['a b', /parts divided by/],
  ['app\n', /parts divided by/],
  ['app:', /the tag ""/],
  ['app:-x', /the tag "-x"/],
  ['app:a b', /the tag "a b"/],
  [`app:${'t'.repeat(129)}`, /the tag/],
  ['app@sha256:abc', /is not a digest/],
  [`app@${digest}@${digest}`, /more than one @/],
  ['http://example.com/app', /parts divided by|the tag/],
  ['a'.repeat(256), /parts divided by/],
]
for (const [text, message] of bad) {
  test(`parseReference() refuses ${JSON.stringify(text.slice(0, 60))}`, () => {
    assert.throws(() => parseReference(text), { code: 'reference-invalid', message })
  })
}

test('parseReference() takes no more than a moment for hostile names', () => {
  for (const text of [
    'a-'.repeat(50_000),
    'a.'.repeat(50_000),
    `${'a'.repeat(100_000)}!`,
    `${'a-b.'.repeat(9000)}.x/y`,
  ])
    assert.throws(() => parseReference(text), { code: 'reference-invalid' })
})

test('onDockerHub() fills in what Docker Hub names leave out', () => {
  const hub = (text: string) => formatReference(onDockerHub(parseReference(text)))
  assert.equal(hub('debian:12'), 'docker.io/library/debian:12')
  assert.equal(hub('grafana/grafana'), 'docker.io/grafana/grafana')
  assert.equal(hub('index.docker.io/debian'), 'docker.io/library/debian')
  assert.equal(hub('docker.io/debian'), 'docker.io/library/debian')
  assert.equal(hub('ghcr.io/app'), 'ghcr.io/app')
})

test('repositoryOf() is the name in the one namespace', () => {
  assert.equal(repositoryOf(parseReference('app:1')), 'app')
  assert.equal(repositoryOf(parseReference('h.io:5000/app:1')), 'h.io:5000/app')
})

test('isHost() is true for a first part with a dot, a colon, or localhost', () => {
  for (const host of ['localhost', 'a.b', 'a:1', '[::1]']) assert.equal(isHost(host), true, host)
  for (const text of ['app', 'a.b:', '.', '-a.b', 'a_b.c', 'a:123456'])
    assert.equal(isHost(text), false, text)
})

test('parseRepositoryName() refuses what would leave their place in a URL', () => {
  assert.equal(parseRepositoryName('a/b'), 'a/b')
  for (const text of ['', '..', 'a/../b', 'a/', 'A'])
    assert.throws(() => parseRepositoryName(text), /image name/)
  for (const text of ['', '..', '.', 'a/b', 'a:b']) assert.equal(isTag(text), false, text)
})
