import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatPurl, imagePurl } from '../../../../src/builder/attest/purl.ts'
import { parseReference } from '../../../../src/oci/reference.ts'

describe('formatPurl()', () => {
  it('encodes every part and sorts the qualifiers', () => {
    const qualifiers = { distro: 'debian-12', arch: 'amd64', upstream: undefined, epoch: '' }
    assert.equal(
      formatPurl({ type: 'deb', namespace: 'debian', name: 'g++', version: '1:2~3+b1', qualifiers }),
      'pkg:deb/debian/g%2B%2B@1:2~3%2Bb1?arch=amd64&distro=debian-12',
    )
    assert.equal(
      formatPurl({ type: 'npm', namespace: '@a', name: "b!'()*", version: '1' }),
      'pkg:npm/%40a/b%21%27%28%29%2A@1',
    )
  })
})

describe('imagePurl()', () => {
  const platform = { os: 'linux', architecture: 'arm', variant: 'v7' }
  for (const [name, purl] of [
    ['docker.io/library/debian:12', 'pkg:docker/debian@12'],
    ['docker.io/a/b', 'pkg:docker/a/b@latest'],
    ['app', 'pkg:docker/app@latest'],
    ['ghcr.io/a/b/c:1', 'pkg:docker/ghcr.io/a/b/c@1'],
  ] as const)
    it(`writes ${name}`, () =>
      assert.equal(imagePurl(parseReference(name), platform), `${purl}?platform=linux%2Farm%2Fv7`))
})
