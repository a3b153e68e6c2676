import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildSteps } from '../../../../src/builder/attest/build-steps.ts'
import type { CopySource } from '../../../../src/builder/ops/copy-spec.ts'
import type { OpDefinition } from '../../../../src/builder/plan/op-definition.ts'
import type { Op, Vertex } from '../../../../src/builder/solve/vertex.ts'
import { digestOf } from '../../../../src/oci/digest.ts'

const digest = digestOf('content')
const commit = '0123456789abcdef0123456789abcdef01234567'
const git = { remote: 'r', subdirectory: '', keepGitDir: false, submodules: true }

function steps(sources: readonly CopySource[], name = 'ADD x /') {
  const op: Op = { kind: 'base', exec: () => Promise.reject(new Error('not in this test')) }
  const vertex: Vertex = { digest: digestOf(name), name, op, inputs: [] }
  const definition: OpDefinition = {
    kind: 'add',
    from: 'context',
    sources,
    exclude: [],
    parents: false,
    destination: '/',
    workdir: '/',
    link: false,
    unpack: 'local',
    createdAt: 5,
  }
  return buildSteps(vertex, () => definition)
}

describe('buildSteps()', () => {
  it('names what ADD fetched, with the digest that the Dockerfile tells', () => {
    const { downloads, isClosed } = steps([
      { kind: 'url', url: 'https://h/b' },
      { kind: 'url', url: 'https://h/a', checksum: digest },
      { kind: 'git', text: `https://h/c.git#${commit}`, reference: { ...git, ref: commit } },
      { kind: 'git', text: 'https://h/d.git#main', reference: { ...git, ref: 'main' } },
    ])
    assert.deepEqual(downloads, [
      { uri: 'https://h/a', digest: { sha256: digest.slice(7) } },
      { uri: 'https://h/b' },
      { uri: `https://h/c.git#${commit}`, digest: { sha1: commit } },
      { uri: 'https://h/d.git#main' },
    ])
    assert.equal(isClosed, false)
  })

  it('is closed where every source is pinned, and not where files of a folder are read', () => {
    const pinned: CopySource = { kind: 'url', url: 'https://h/a', checksum: digest }
    assert.equal(steps([pinned, { kind: 'heredoc', name: 'E', content: 'x' }]).isClosed, true)
    assert.equal(steps([pinned, { kind: 'path', path: 'a' }]).isClosed, false)
  })

  it('tells no credentials of URLs', () => {
    const told = steps(
      [
        { kind: 'url', url: 'https://user:password@h/a' },
        { kind: 'git', text: 'https://token-of-mine@h/c.git', reference: { ...git, ref: '' } },
      ],
      'ADD https://user:password@h/a https://token-of-mine@h/c.git /',
    )
    const text = JSON.stringify(told)
    assert.ok(text.includes('https://h/a') && text.includes('https://h/c.git'))
    assert.doesNotMatch(text, /password|token-of-mine/)
  })

  it('walks ten thousand steps', () => {
    const op: Op = { kind: 'base', exec: () => Promise.reject(new Error('not in this test')) }
    let vertex: Vertex = { digest: digestOf('first'), name: 'first', op, inputs: [] }
    for (let at = 0; at < 10_000; at++)
      vertex = { digest: digestOf(`${at}`), name: `${at}`, op, inputs: [vertex, vertex] }
    assert.equal(buildSteps(vertex, () => undefined).definition.length, 10_001)
  })
})
