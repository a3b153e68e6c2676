import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { parseImageConfig } from '../../../../src/oci/config.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { graphSource, readContent } from '../../../../src/oci/graph.ts'
import { parseManifest } from '../../../../src/oci/manifest.ts'
import { type ImportOptions, importRootfs } from '../../../../src/store/archive/import.ts'
import { openStore } from '../../../../src/store/open.ts'
import { signal, tarOf, temporaryDirectory } from './sample-images.ts'

const rootfs = await tarOf([
  { name: './etc/hostname', body: 'box' },
  { name: 'bin/sh', linkTo: 'busybox' },
])

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 3) yield bytes.subarray(at, at + 3)
}

const options: Omit<ImportOptions, 'store' | 'tar'> = {
  config: { Cmd: ['/bin/sh'] },
  platform: { os: 'linux', architecture: 'amd64' },
  compression: 'gzip',
  comment: 'Imported from -',
  now: () => 1000,
  signal,
}

test('importRootfs() makes an image of a tar, however it is compressed', async t => {
  using store = await openStore({ root: await temporaryDirectory(t), now: () => 0 })
  const digests = new Set<string>()
  for (const tar of [rootfs, gzipSync(rootfs), zstdCompressSync(rootfs)]) {
    const { descriptor, config } = await importRootfs({ ...options, store, tar: inPieces(tar) })
    const source = graphSource(store.content)
    const manifest = parseManifest(await readContent(source, descriptor), descriptor.mediaType)
    assert.ok(manifest.kind === 'image')
    assert.equal(manifest.config.digest, config.digest)
    const image = parseImageConfig(await readContent(source, config))
    assert.deepEqual(image.rootfs.diff_ids, [digestOf(rootfs)])
    assert.deepEqual(image.config, { Cmd: ['/bin/sh'] })
    assert.deepEqual(image.history, [{ created: '1970-01-01T00:00:01Z', comment: 'Imported from -' }])
    digests.add(descriptor.digest)
  }
  assert.equal(digests.size, 1)
})

test('importRootfs() hands xz to whoever can unpack it, or says that nobody can', async t => {
  using store = await openStore({ root: await temporaryDirectory(t), now: () => 0 })
  const tar = () => inPieces(Buffer.from('\xfd7zXZ\0...', 'latin1'))
  await assert.rejects(importRootfs({ ...options, store, tar: tar() }), {
    code: 'layer-invalid',
    message: /xz/,
  })
  const decompressWith = async function* (program: string) {
    assert.equal(program, 'xz')
    yield rootfs
  }
  await importRootfs({ ...options, store, tar: tar(), decompressWith })
})

test('importRootfs() refuses what is no tar', async t => {
  using store = await openStore({ root: await temporaryDirectory(t), now: () => 0 })
  const tar = () => inPieces(Buffer.alloc(2000, 'no tar'))
  await assert.rejects(importRootfs({ ...options, store, tar: tar() }), { name: 'OciError' })
})

test('importRootfs() refuses no bytes at all, which is what a failed program sends', async t => {
  using store = await openStore({ root: await temporaryDirectory(t), now: () => 0 })
  await assert.rejects(importRootfs({ ...options, store, tar: inPieces(Buffer.alloc(0)) }), {
    code: 'tar-invalid',
    message: /no bytes/,
  })
  await importRootfs({ ...options, store, tar: inPieces(Buffer.alloc(1024)) })
})
