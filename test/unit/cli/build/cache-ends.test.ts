import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CacheSource, CacheTarget } from '../../../../src/builder/cache/cache-end.ts'
import { parseCacheSources, parseCacheTargets } from '../../../../src/cli/build/cache-ends.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseReference, type Tag } from '../../../../src/oci/reference.ts'
import { fakeTerminal } from '../fake-terminal.ts'

const terminal = fakeTerminal({ workingDirectory: '/w' })
const refuse = (problem: string): Error => new Error(problem)
const reference = parseReference('user/app:cache')
const digest = digestOf('')
const plain = { mode: 'min', ignoresErrors: false } as const
const latest = 'latest' as Tag

describe('parseCacheSources()', () => {
  const good: Readonly<Record<string, readonly CacheSource[]>> = {
    'user/app:cache': [{ type: 'registry', reference }],
    'user/app:cache,other': [
      { type: 'registry', reference },
      { type: 'registry', reference: parseReference('other') },
    ],
    'type=registry,ref=user/app:cache': [{ type: 'registry', reference }],
    'ref=user/app:cache,TYPE=registry': [{ type: 'registry', reference }],
    'type=local,src=dir': [{ type: 'local', directory: '/w/dir', name: { tag: latest } }],
    'type=local,src=/dir,tag=v1': [{ type: 'local', directory: '/dir', name: { tag: 'v1' as Tag } }],
    'type=registry,ref=user/app:cache,cache-mounts=true': [
      { type: 'registry', reference, cacheMounts: 'all' },
    ],
    'type=registry,ref=user/app:cache,cache-mounts=false': [{ type: 'registry', reference }],
    'type=local,src=dir,"cache-mounts=/root/.cache,apt"': [
      {
        type: 'local',
        directory: '/w/dir',
        name: { tag: latest },
        cacheMounts: new Set(['/root/.cache', 'apt']),
      },
    ],
    [`type=local,src=dir,digest=${digest}`]: [{ type: 'local', directory: '/w/dir', name: { digest } }],
  }
  for (const [text, sources] of Object.entries(good))
    it(`reads ${text}`, () => assert.deepEqual(parseCacheSources([text], terminal, refuse), sources))

  const bad: Readonly<Record<string, RegExp>> = {
    'type=gha': /type=gha is not supported: .*; there is type=registry, type=local/,
    'type=s3,bucket=b': /type=s3 is not supported/,
    'type=azblob': /type=azblob is not supported/,
    'type=inline': /type=inline is not one of registry, local/,
    'type=other': /type=other is not one of/,
    'type=registry': /needs ref=/,
    'type=local': /needs src=/,
    'type=local,src=d,digest=x': /is not a digest/,
    'type=local,src=d,tag=..': /is not a tag/,
    'type=registry,ref=a,mode=max': /does not take mode=/,
    'ref=a': /names no type=/,
    'type=registry,a': /is not KEY=VALUE/,
    Upper: /lower case/,
  }
  for (const [text, message] of Object.entries(bad))
    it(`refuses ${text}`, () => assert.throws(() => parseCacheSources([text], terminal, refuse), { message }))
})

describe('parseCacheTargets()', () => {
  const good: Readonly<Record<string, readonly CacheTarget[]>> = {
    'user/app:cache': [{ type: 'registry', reference, ...plain }],
    'type=registry,ref=user/app:cache,mode=max,ignore-error=true,image-manifest=true,oci-mediatypes=true': [
      { type: 'registry', reference, mode: 'max', ignoresErrors: true },
    ],
    'type=registry,ref=user/app:cache,oci-artifact=true': [{ type: 'registry', reference, ...plain }],
    'type=registry,ref=user/app:cache,cache-mounts=true': [
      { type: 'registry', reference, ...plain, cacheMounts: 'all' },
    ],
    'type=registry,ref=user/app:cache,compression=zstd,compression-level=9,force-compression=true': [
      { type: 'registry', reference, ...plain, compression: 'zstd', compressionLevel: 9 },
    ],
    'type=local,dest=dir,compression=uncompressed': [
      { type: 'local', directory: '/w/dir', tag: latest, ...plain, compression: 'none' },
    ],
    'type=inline': [{ type: 'inline' }],
    'type=inline,mode=max': [{ type: 'inline' }],
  }
  for (const [text, targets] of Object.entries(good))
    it(`reads ${text}`, () => assert.deepEqual(parseCacheTargets([text], terminal, refuse), targets))

  const bad: Readonly<Record<string, RegExp>> = {
    'type=gha,mode=max': /type=gha is not supported/,
    'type=registry,ref=a,mode=all': /neither min nor max/,
    'type=registry,ref=a,ignore-error=maybe': /takes true or false/,
    'type=registry,ref=a,compression=lz4': /compression= is gzip, zstd, uncompressed, not "lz4"/,
    'type=registry,ref=a,compression-level=3': /needs compression=gzip or zstd/,
    'type=registry,ref=a,compression=gzip,compression-level=10': /of gzip is 0 to 9/,
    [`type=registry,ref=a@${digest}`]: /the digest is the build's to find/,
    'type=local': /needs dest=/,
    'type=local,src=d': /does not take src=/,
  }
  for (const [text, message] of Object.entries(bad))
    it(`refuses ${text}`, () => assert.throws(() => parseCacheTargets([text], terminal, refuse), { message }))
})
