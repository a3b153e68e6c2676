/** Content that costs more than it may: each limit refuses it by name, and nothing of it stays. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { readArchiveContext, sniffContext } from '../../src/builder/context/archive-context.ts'
import { openLocalContext } from '../../src/builder/context/local-context.ts'
import type { StatCache } from '../../src/builder/context/stat-cache.ts'
import { selectImage } from '../../src/builder/images/select-image.ts'
import { byteStringOf } from '../../src/oci/byte-string.ts'
import { describeBytes } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseJson } from '../../src/oci/json.ts'
import { decompress } from '../../src/oci/layer/decompression.ts'
import { withinRatio } from '../../src/oci/layer/ratio.ts'
import { imageManifestBytes } from '../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../src/oci/media-type.ts'
import { openImageArchive } from '../../src/store/archive/open-archive.ts'
import { openStore } from '../../src/store/open.ts'
import { file, tarOf } from '../unit/oci/tar-bytes.ts'

const { signal } = new AbortController()
const MIB = 1024 ** 2
const WINDOW_LOG = 101

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-limits-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function drain(bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0
  for await (const chunk of bytes) size += chunk.length
  return size
}

/** Compressed bytes that become so many MiB. */
async function unpacking(packedBytes: number, unpackedMiB: number, archiveRatio?: number): Promise<number> {
  const chunk = Buffer.alloc(MIB)
  const unpack = async function* (source: AsyncIterable<Uint8Array>) {
    for await (const _ of source) for (let made = 0; made < unpackedMiB; made++) yield chunk
  }
  const limits = archiveRatio === undefined ? {} : { archiveRatio }
  return drain(withinRatio(Readable.from([Buffer.alloc(packedBytes)]), 'gzip', unpack, limits))
}

test('10 MB that become 20 GB are refused, a disk of zeros is not', async () => {
  await assert.rejects(unpacking(10 * MIB, 20 * 1024), {
    code: 'limit-exceeded',
    message: /10485760 bytes become more than \d+ \(limit archive-ratio = 1000\)/,
  })
  assert.equal(await unpacking(MIB, 4 * 1024), 4 * 1024 * MIB)
  assert.equal(await unpacking(10 * MIB, 20 * 1024, 3000), 20 * 1024 * MIB)
})

test('a zstd frame with a window of 2 GiB is refused before it is given memory', async () => {
  const bomb = zstdCompressSync(Buffer.alloc(64), { params: { [WINDOW_LOG]: 10 } })
  // A frame header: magic, descriptor without a content size, then the window: 2^(10 + 21).
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3])
  const rle = Buffer.from([0b011, 0x00, 0x00, 0x00])
  await drain(decompress(Readable.from([bomb]), 'zstd'))
  await assert.rejects(drain(decompress(Readable.from([Buffer.concat([header, rle])]), 'zstd')), {
    code: 'layer-invalid',
  })
})

test('an archive in an archive in an archive is unpacked once', async t => {
  const folder = temporaryFolder(t)
  const inner = gzipSync(await tarOf(file('bomb', Buffer.alloc(MIB))))
  const nested = gzipSync(await tarOf(file('inner.tar.gz', inner)))
  const context = await readArchiveContext(await sniffContext(Readable.from([nested])), {
    temporaryDirectory: folder,
    signal,
  })
  assert.deepEqual(await context.list(byteStringOf('')), ['inner.tar.gz'])
  assert.equal((await context.stat(byteStringOf('inner.tar.gz')))?.size, inner.length)
  await context[Symbol.asyncDispose]()
})

test('a context on standard input may have so many files, and leaves nothing', async t => {
  const folder = temporaryFolder(t)
  const read = async (contextEntries: number) =>
    readArchiveContext(await sniffContext(Readable.from([await tarOf(file('a/b/c'), file('d', 'x'))])), {
      temporaryDirectory: folder,
      signal,
      contentLimits: { contextEntries },
    })
  await assert.rejects(read(3), { code: 'limit-exceeded', message: /context-entries = 3/ })
  assert.deepEqual(readdirSync(folder), [])
  await (await read(4))[Symbol.asyncDispose]()
})

test('a directory may have so many files', async t => {
  const directory = temporaryFolder(t)
  for (const name of ['a', 'b', 'c']) writeFileSync(join(directory, name), '')
  const fileDigests: StatCache = { get: () => undefined, put: () => undefined, save: async () => undefined }
  const look = async (contextEntries: number) => {
    const context = await openLocalContext({ directory, fileDigests, contextEntries })
    for (const name of await context.list(byteStringOf(''))) await context.stat(name)
  }
  await assert.rejects(look(2), { code: 'limit-exceeded', message: /context-entries = 2/ })
  await look(3)
})

test('a base image has so many layers, and a config of so many bytes', async () => {
  const config = Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: Array(5).fill(digestOf('')) },
      config: { Labels: { a: 'x'.repeat(1000) } },
    }),
  )
  const layer = { mediaType: MEDIA_TYPE.ociLayer, digest: digestOf(''), size: 0 }
  const manifest = imageManifestBytes({
    mediaType: MEDIA_TYPE.ociManifest,
    config: describeBytes(MEDIA_TYPE.ociConfig, config),
    layers: Array(5).fill(layer),
  })
  const content = new Map([manifest, config].map(bytes => [digestOf(bytes), bytes]))
  const source = {
    open: async ({ digest }: { digest: ReturnType<typeof digestOf> }) =>
      Readable.from([content.get(digest) ?? '']),
  }
  const root = describeBytes(MEDIA_TYPE.ociManifest, manifest)
  const platform = { os: 'linux', architecture: 'amd64' }
  const select = (limits: object) => selectImage(source, root, platform, 'base', limits)
  await assert.rejects(select({ imageLayers: 4 }), { code: 'limit-exceeded', message: /image-layers = 4/ })
  await assert.rejects(select({ configBytes: 999 }), {
    code: 'limit-exceeded',
    message: /config-bytes = 999/,
  })
  assert.equal((await select({ imageLayers: 5, configBytes: 2000 })).layers.length, 5)
})

test('JSON is nested so deep and no deeper', () => {
  const nested = (depth: number) => Buffer.from('['.repeat(depth) + ']'.repeat(depth))
  assert.notEqual(parseJson(nested(500)), undefined)
  assert.equal(parseJson(nested(501)), undefined)
  assert.equal(parseJson(nested(2 * MIB)), undefined)
  assert.deepEqual(parseJson(Buffer.from(`["${'['.repeat(600)}", "\\"${'{'.repeat(600)}"]`)), [
    '['.repeat(600),
    `"${'{'.repeat(600)}`,
  ])
})

test('a layer beyond the limits is refused on its way into the store, and leaves nothing', async t => {
  const root = join(temporaryFolder(t), 'store')
  const tar = await tarOf(file('a'), file('b'), file('c'))
  using store = await openStore({ root, now: Date.now, limits: { archiveEntries: 2 } })
  await assert.rejects(store.layers.ingest(Readable.from([tar]), 'gzip', signal), { code: 'limit-exceeded' })
  assert.deepEqual(readdirSync(join(root, 'ingest')), [])
  using wide = await openStore({ root, now: Date.now })
  const layer = await wide.layers.ingest(Readable.from([tar]), 'gzip', signal)
  // What was taken in is read, whatever the limits are now.
  assert.equal(await drain(await store.layers.openTar(layer)), tar.length)
})

test('a compressed archive of images beyond the limits leaves nothing', async t => {
  const folder = temporaryFolder(t)
  const from = join(folder, 'images.tar.gz')
  writeFileSync(from, gzipSync(Buffer.alloc(MIB)))
  const temporaryDirectory = join(folder, 'tmp')
  await assert.rejects(
    openImageArchive({ from, temporaryDirectory, signal, limits: { archiveBytes: MIB - 1 } }),
    { code: 'limit-exceeded', message: /archive-bytes = 1048575/ },
  )
  assert.deepEqual(readdirSync(temporaryDirectory), [])
})
