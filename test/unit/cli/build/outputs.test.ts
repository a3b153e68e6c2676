import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Output } from '../../../../src/builder/export/output.ts'
import { parseOutputs } from '../../../../src/cli/build/outputs.ts'
import { parseReference } from '../../../../src/oci/reference.ts'
import { fakeTerminal } from '../fake-terminal.ts'

const terminal = fakeTerminal({ workingDirectory: '/w' })
const refuse = (problem: string): Error => new Error(problem)

describe('parseOutputs()', () => {
  const good: readonly (readonly [string, Output])[] = [
    ['type=store', { type: 'store' }],
    ['type=image', { type: 'store' }],
    ['type=cacheonly', { type: 'cacheonly' }],
    ['type=oci,dest=a.tar', { type: 'oci', tar: true, dest: '/w/a.tar' }],
    ['type=oci,dest=/abs/dir,tar=false', { type: 'oci', tar: false, dest: '/abs/dir' }],
    ['type=docker,dest=a,tar=true', { type: 'docker', tar: true, dest: '/w/a' }],
    ['type=docker,dest=-', { type: 'docker', tar: true, dest: terminal.stdout }],
    ['TYPE=local, dest=out', { type: 'local', dest: '/w/out' }],
    ['type=tar,dest=-', { type: 'tar', dest: terminal.stdout }],
    ['type=tar', { type: 'tar', dest: terminal.stdout }],
    ['type=oci', { type: 'oci', tar: true, dest: terminal.stdout }],
    ['type=local,dest=out,mode=copy', { type: 'local', dest: '/w/out' }],
    ['type=tar,dest=out.tar', { type: 'tar', dest: '/w/out.tar' }],
    ['type=tar,"dest=a,b ""c"".tar"', { type: 'tar', dest: '/w/a,b "c".tar' }],
    ['type=tar,dest=a=b', { type: 'tar', dest: '/w/a=b' }],
    ['-', { type: 'tar', dest: terminal.stdout }],
    ['out', { type: 'local', dest: '/w/out' }],
    ['./out', { type: 'local', dest: '/w/out' }],
  ]
  for (const [text, output] of good) {
    it(`reads ${text}`, () => assert.deepEqual(parseOutputs([text], terminal, refuse), [output]))
  }

  it('reads how an image is written', () => {
    const text =
      'type=oci,dest=a,compression=zstd,compression-level=19,force-compression=true,rewrite-timestamp=false,' +
      '"name=x:1,y",annotation.org.Key=v=1,annotation-manifest-descriptor[linux/arm64].b=c'
    const [output] = parseOutputs([text], terminal, refuse)
    assert.deepEqual(output, {
      type: 'oci',
      tar: true,
      dest: '/w/a',
      settings: {
        compression: 'zstd',
        level: 19,
        forceCompression: true,
        mediaTypes: 'oci',
        names: [parseReference('x:1'), parseReference('y')],
        annotations: [
          { level: 'manifest', key: 'org.Key', value: 'v=1' },
          {
            level: 'manifest-descriptor',
            platform: { os: 'linux', architecture: 'arm64' },
            key: 'b',
            value: 'c',
          },
        ],
        rewriteTimestamp: false,
      },
    } satisfies Output)
  })

  it('reads Docker media types and what is not compressed, for the store too', () => {
    const [output] = parseOutputs(
      ['type=image,compression=uncompressed,oci-mediatypes=false'],
      terminal,
      refuse,
    )
    assert.ok(output?.type === 'store')
    assert.equal(output.settings?.compression, 'none')
    assert.equal(output.settings?.mediaTypes, 'docker')
  })

  it('reads several', () => {
    assert.deepEqual(
      parseOutputs(['type=store', 'out', '-'], terminal, refuse).map(({ type }) => type),
      ['store', 'local', 'tar'],
    )
  })

  const bad: readonly (readonly [string, RegExp])[] = [
    ['type=docker', /type=docker needs dest=/],
    ['type=oci,tar=false', /type=oci needs dest=/],
    ['type=local,dest=', /type=local needs dest=/],
    ['type=local,dest=a,mode=delete', /mode=delete is not supported: what was/],
    ['type=image,prefer-nondist-layers=true', /prefer-nondist-layers= is not supported: what is written/],
    ['type=oci,dest=a,oci-artifact=true', /oci-artifact= is not supported: attestations/],
    ['type=zip,dest=a', /type=zip is not one of store, image, registry, cacheonly, oci, docker, local, tar/],
    ['type=constructor', /type=constructor is not one of/],
    ['dest=a', /names no type=/],
    ['type=tar,dest=a,compression=zstd', /type=tar does not take compression=/],
    ['type=oci,dest=a,compression=estargz', /estargz is not supported: zstd is small/],
    ['type=oci,dest=a,compression=lz4', /compression= is gzip, zstd, uncompressed, not "lz4"/],
    ['type=oci,dest=a,compression-level=10', /compression-level= of gzip is 0 to 9, not "10"/],
    ['type=oci,dest=a,compression=zstd,compression-level=-1', /of zstd is 1 to 22, not "-1"/],
    ['type=oci,dest=a,compression=uncompressed,compression-level=1', /needs compression=gzip or zstd/],
    ['type=oci,dest=a,force-compression=maybe', /force-compression= takes true or false/],
    ['type=oci,dest=a,annotation-layer.a=b', /annotations are of manifest, index/],
    ['type=store,oci-mediatypes=false,annotation.a=b', /annotations need OCI media types/],
    [`type=store,name=a@sha256:${'0'.repeat(64)}`, /the digest is the build's to find/],
    ['type=local,dest=a,tar=false', /type=local does not take tar=/],
    ['type=local,dest=-', /type=local writes a directory: dest cannot be -/],
    ['type=oci,dest=-,tar=false', /type=oci writes a directory: dest cannot be -/],
    ['type=oci,dest=a,tar=perhaps', /tar= takes true or false, not "perhaps"/],
    ['type=oci,dest', /"dest" is not key=value/],
    ['type=oci,"dest=a', /has a quote that is not closed/],
  ]
  for (const [text, problem] of bad) {
    it(`refuses ${text}`, () => assert.throws(() => parseOutputs([text], terminal, refuse), problem))
  }

  it('refuses two outputs on standard output, and a terminal', () => {
    assert.throws(() => parseOutputs(['-', 'type=oci,dest=-'], terminal, refuse), /only one --output/)
    const tty = fakeTerminal()
    tty.stdout.isTTY = true
    assert.throws(() => parseOutputs(['-'], tty, refuse), /will not write an archive to a terminal/)
    assert.equal(parseOutputs(['out'], tty, refuse).length, 1)
  })
})
