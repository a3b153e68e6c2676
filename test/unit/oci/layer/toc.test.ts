import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { type ByteString, byteStringOf } from '../../../../src/oci/byte-string.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { LayerToc, TocEntry } from '../../../../src/oci/layer/toc.ts'
import { packToc, unpackToc } from '../../../../src/oci/layer/toc-codec.ts'
import { TocRecorder } from '../../../../src/oci/layer/toc-recorder.ts'
import { directory, entry, file, link, symlink, tarOf } from '../tar-bytes.ts'

function record(tar: Buffer, chunkSize = tar.length): LayerToc {
  const recorder = new TocRecorder()
  for (let at = 0; at < tar.length; at += chunkSize) recorder.update(tar.subarray(at, at + chunkSize))
  return recorder.finish()
}

const binary = Buffer.from('01000002ff800000', 'hex')

const layer = tarOf(
  directory('./'),
  directory('etc'),
  file('etc/empty'),
  file('etc/shadow', 'secret', { mode: 0, uid: 4_000_000_000, mtime: -5, mtimeNanoseconds: 1 }),
  file('usr/bin/ping', Buffer.alloc(70_000, 3), { xattrs: new Map([['security.capability', binary]]) }),
  link('usr/bin/ping6', 'usr/bin/ping'),
  symlink('bin', 'usr/bin'),
  { entry: entry('dev/null', { type: 'character', deviceMajor: 1, deviceMinor: 3, mode: 0o666 }) },
  file('etc/.wh.gone'),
  file('var/.wh..wh..opq'),
  file('last', 'z'),
)

test('TocRecorder records the same however the tar is cut', async () => {
  const tar = await layer
  const whole = record(tar)
  for (const size of [1, 100, 512, 4096]) assert.deepEqual(record(tar, size), whole)
})

test('TocRecorder tells digest and place of every content, and what is removed', async () => {
  const tar = await layer
  const { entries, whiteouts, opaque } = record(tar)
  assert.deepEqual(
    entries.map(({ path, type }) => `${type} ${path}`),
    [
      'directory ',
      'directory etc',
      'file etc/empty',
      'file etc/shadow',
      'file usr/bin/ping',
      'link usr/bin/ping6',
      'symlink bin',
      'character dev/null',
      'file last',
    ],
  )
  assert.deepEqual(whiteouts, ['etc/gone'])
  assert.deepEqual(opaque, ['var'])
  for (const { type, size, offset, digest } of entries) {
    assert.equal(digest !== undefined, type === 'file' && size > 0)
    if (offset !== undefined) assert.equal(digestOf(tar.subarray(offset, offset + size)), digest)
  }
})

test('TocRecorder.finish() refuses a tar that is cut off', async () => {
  const recorder = new TocRecorder()
  recorder.update((await layer).subarray(0, -1030))
  assert.throws(() => recorder.finish(), { code: 'tar-invalid' })
})

test('TocRecorder keeps to the limits it is given', async () => {
  const tar = await layer
  assert.throws(() => new TocRecorder({ archiveEntries: 3 }).update(tar), {
    code: 'limit-exceeded',
    message: /archive-entries = 3/,
  })
})

test('unpackToc() returns what packToc() was given', async () => {
  const toc = record(await layer)
  assert.deepEqual(unpackToc(packToc(toc)), toc)
  const odd: TocEntry = {
    ...entry('', { path: '\xff\x00' as ByteString, type: 'block', size: Number.MAX_SAFE_INTEGER }),
    mtime: Number.MIN_SAFE_INTEGER,
    deviceMajor: 8,
    deviceMinor: 0,
    offset: 2 ** 40,
    digest: digestOf('x'),
  }
  const oddities = {
    entries: [odd, odd],
    whiteouts: ['a', 'ab', 'a'].map(byteStringOf),
    opaque: [byteStringOf('')],
  }
  assert.deepEqual(unpackToc(packToc(oddities)), oddities)
  const nothing = { entries: [], whiteouts: [], opaque: [] }
  assert.deepEqual(unpackToc(packToc(nothing)), nothing)
})

test('packToc() is small and makes the same bytes of the same table', () => {
  const entries = Array.from({ length: 2000 }, (_, index) => ({
    ...entry(`usr/share/doc/package-${index}/copyright`, { size: index + 1, mtime: 1_700_000_000 }),
    digest: digestOf(String(index)),
    offset: index * 1024,
  }))
  const toc = { entries, whiteouts: [], opaque: [] }
  assert.deepEqual(packToc(toc), packToc({ ...toc }))
  assert.ok(packToc(toc).length / entries.length < 45, 'a digest of 32 bytes and hardly more')
})

test('unpackToc() refuses what packToc() of this version did not make', async () => {
  const packed = packToc(record(await layer))
  const bad: readonly [string, Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['another version', Buffer.concat([Buffer.from([2]), packed.subarray(1)])],
    ['no zstd', Buffer.from('\x01plain')],
    ['a frame cut off', packed.subarray(0, -4)],
    ['a table cut off', Buffer.concat([Buffer.from([1]), zstdCompressSync(Buffer.from([200, 1, 0, 0]))])],
    ['bytes left over', Buffer.concat([Buffer.from([1]), zstdCompressSync(Buffer.from([0, 0, 0, 9]))])],
    ['a huge number', Buffer.concat([Buffer.from([1]), zstdCompressSync(Buffer.alloc(20, 0xff))])],
    ['an unknown type', Buffer.concat([Buffer.from([1]), zstdCompressSync(Buffer.from([1, 7, 0, 0]))])],
    [
      'a path from nothing',
      Buffer.concat([Buffer.from([1]), zstdCompressSync(Buffer.from([0, 1, 5, 0, 0]))]),
    ],
  ]
  for (const [name, bytes] of bad) assert.throws(() => unpackToc(bytes), { code: 'layer-invalid' }, name)
})
