import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BuildResult } from '../../../../src/builder/build-options.ts'
import type { Output } from '../../../../src/builder/export/output.ts'
import { buildMetadata, formatSummary, formatWarnings } from '../../../../src/cli/build/summary.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseReference } from '../../../../src/oci/reference.ts'

const imageID = digestOf('config')
const digest = digestOf('manifest')
const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 8 }
const images = [{ platform: { os: 'linux', architecture: 'amd64' }, digest }]
const result: BuildResult = { imageID, digest, descriptor, images, size: 1_234_567, warnings: [] }

function summary(
  names: readonly string[],
  outputs: readonly Output[] = [],
  listen = '127.0.0.1:5000',
): string {
  return formatSummary({ tags: names.map(parseReference), outputs }, result, { listen, tookMs: 3210 })
}

describe('formatSummary()', () => {
  it('says the names, digest, size, time, and how to pull', () => {
    assert.equal(
      summary(['h.org/app:2', 'app']),
      `image   h.org/app:2, app:latest
digest  ${digest}
size    1.23 MB compressed
time    3.2s
pull    docker pull 127.0.0.1:5000/app:latest   (while 'slipway serve' runs)
`,
    )
  })

  it('pulls from an address that there is, where the registry listens on all', () => {
    assert.match(summary(['app:1'], [], '0.0.0.0:80'), /docker pull 127\.0\.0\.1:80\/app:1 /)
  })

  it('says how to push an image of another registry', () => {
    assert.match(summary(['h.org/app:2']), /^push {4}slipway push h\.org\/app:2$/m)
  })

  it('does not ask for a push of what was pushed', () => {
    assert.doesNotMatch(summary(['h.org/app:2'], [{ type: 'store', push: 'by-tag' }]), /^push/m)
  })

  it('says how to name an image without a name', () => {
    const text = summary([])
    assert.ok(text.includes(`image   ${imageID}\n`))
    assert.match(text, /^name .*-t NAME/m)
  })

  it('tells what was written where, and of no image where none was made', () => {
    assert.equal(summary(['app'], [{ type: 'local', dest: '/out' }]), 'wrote   local to /out\ntime    3.2s\n')
    const archive = summary(['app'], [{ type: 'oci', tar: true, dest: '/a.tar' }])
    assert.match(archive, /^image {3}app:latest$/m)
    assert.match(archive, /^wrote {3}oci to \/a\.tar$/m)
    assert.doesNotMatch(archive, /docker pull/)
  })
})

describe('buildMetadata()', () => {
  it("has BuildKit's keys", () => {
    assert.deepEqual(buildMetadata({ tags: ['a', 'h.org/b:1'].map(parseReference), outputs: [] }, result), {
      'containerimage.config.digest': imageID,
      'containerimage.descriptor': descriptor,
      'containerimage.digest': digest,
      'image.name': 'a:latest,h.org/b:1',
    })
  })

  it('has no name without one, and nothing without an image', () => {
    assert.equal('image.name' in buildMetadata({ tags: [], outputs: [] }, result), false)
    assert.deepEqual(buildMetadata({ tags: [], outputs: [{ type: 'cacheonly' }] }, result), {})
  })
})

describe('formatWarnings()', () => {
  it('draws the place, and neutralizes what comes from the Dockerfile', () => {
    const source = { name: 'Dockerfile', text: 'FROM a\n' }
    assert.equal(
      formatWarnings([
        { text: 'odd \x1b[0m', span: { source, startLine: 1, endLine: 1 } },
        { text: 'plain' },
      ]),
      'Dockerfile:1\n> 1 | FROM a\nwarning: odd \\u001b[0m\nwarning: plain\n',
    )
  })
})
