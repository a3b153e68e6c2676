import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import type { Descriptor } from '../../../../src/oci/descriptor.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { copyGraph, readContent } from '../../../../src/oci/graph.ts'
import { parseManifest } from '../../../../src/oci/manifest.ts'
import { readDockerArchive, writeDockerArchive } from '../../../../src/store/archive/docker-archive.ts'
import { type ImageArchive, selectImage } from '../../../../src/store/archive/image-archive.ts'
import { readOciArchive, writeOciArchive } from '../../../../src/store/archive/oci-archive.ts'
import { openOciLayout, writeOciLayout } from '../../../../src/store/archive/oci-layout.ts'
import { openImageArchive, openTarArchive } from '../../../../src/store/archive/open-archive.ts'
import { addImage, addIndex, MemoryContent, Sink, signal, temporaryDirectory } from './sample-images.ts'

async function copyAll(archive: ImageArchive): Promise<MemoryContent> {
  const copy = new MemoryContent()
  for (const { descriptor } of archive.images) await copyGraph(archive.source, copy, descriptor, { signal })
  return copy
}

const digestsAndNames = (archive: ImageArchive) =>
  archive.images.map(({ descriptor, names }) => [descriptor.digest, [...names].sort()])

async function sample() {
  const content = new MemoryContent()
  const one = await addImage(content, ['gzip', 'none'])
  const two = addIndex(content, [
    await addImage(content, ['zstd']),
    await addImage(content, ['gzip'], 'arm64'),
  ])
  const images = [
    { descriptor: one, names: ['app:1.0', 'host:5000/team/app:2'] },
    { descriptor: two, names: ['multi:1.0'] },
  ]
  return { content, one, two, images }
}

test('an OCI archive holds all that was written, under its names', async t => {
  const { content, images } = await sample()
  const to = new Sink()
  await writeOciArchive({ source: content, images, to, signal })
  assert.equal(to.writableEnded, false)
  const file = join(await temporaryDirectory(t), 'a.tar')
  await writeFile(file, to.bytes)
  await using archive = await openTarArchive(file, readOciArchive, signal)
  assert.deepEqual(
    digestsAndNames(archive),
    images.map(({ descriptor, names }) => [descriptor.digest, names]),
  )
  assert.deepEqual(sorted(await copyAll(archive)), sorted(content))
})

test('archives are a function of the images, whatever their order', async () => {
  const { content, images } = await sample()
  const write = async (write: typeof writeOciArchive, list: typeof images) => {
    const to = new Sink()
    await write({ source: content, images: list, to, signal })
    return to.digest
  }
  assert.equal(await write(writeOciArchive, images), await write(writeOciArchive, images.toReversed()))
  const plain = images.slice(0, 1)
  assert.equal(await write(writeDockerArchive, plain), await write(writeDockerArchive, plain))
})

test('an OCI layout takes images one after the other, and moves names', async t => {
  const { content, one, two } = await sample()
  const directory = join(await temporaryDirectory(t), 'new', 'layout')
  const write = (descriptor: Descriptor, ...names: string[]) =>
    writeOciLayout({ source: content, images: [{ descriptor, names }], directory, signal })
  await write(one, 'v1', 'latest')
  await write(two, 'latest')
  await using archive = await openOciLayout(directory)
  assert.deepEqual(digestsAndNames(archive), [
    [two.digest, ['latest']],
    [one.digest, ['v1']],
  ])
  assert.deepEqual(sorted(await copyAll(archive)), sorted(content))
  assert.deepEqual((await readdir(directory)).sort(), ['blobs', 'index.json', 'oci-layout'])
})

test('an OCI layout is not written among other files', async t => {
  const { content, images } = await sample()
  const directory = await temporaryDirectory(t)
  await writeFile(join(directory, 'thesis.doc'), '')
  await assert.rejects(writeOciLayout({ source: content, images, directory, signal }), {
    code: 'layout-invalid',
  })
})

test('a failed write to a layout leaves its index as it was, and no partial files', async t => {
  const { content, one, two } = await sample()
  const directory = await temporaryDirectory(t)
  const write = (descriptor: Descriptor, source = content) =>
    writeOciLayout({ source, images: [{ descriptor, names: ['v1'] }], directory, signal })
  await write(one)
  const broken = new MemoryContent()
  for (const [digest, bytes] of content.blobs) broken.blobs.set(digest, bytes)
  const layer = parseManifest(await readContent(content, one)).kind === 'image' ? two : one
  const child = parseManifest(await readContent(content, layer))
  assert.equal(child.kind, 'index')
  broken.blobs.set(child.manifests[0]?.digest ?? digestOf(''), Buffer.from('corrupt'))
  await assert.rejects(write(two, broken), { code: 'size-mismatch' })
  await using archive = await openOciLayout(directory)
  assert.deepEqual(digestsAndNames(archive), [[one.digest, ['v1']]])
  const blobs = await readdir(join(directory, 'blobs/sha256'))
  assert.ok(blobs.every(name => /^[0-9a-f]{64}$/.test(name)))
})

describe('a docker archive', () => {
  test('keeps gzip layers, and unpacks zstd layers that old readers do not know', async t => {
    const content = new MemoryContent()
    const descriptor = await addImage(content, ['gzip', 'zstd', 'none'])
    const to = new Sink()
    await writeDockerArchive({ source: content, images: [{ descriptor, names: ['app:1'] }], to, signal })
    const file = join(await temporaryDirectory(t), 'a.tar')
    await writeFile(file, to.bytes)
    await using archive = await openTarArchive(file, index => readDockerArchive(index, signal), signal)
    const copy = await copyAll(archive)
    const [image] = archive.images
    assert.deepEqual(image?.names, ['app:1'])
    assert.deepEqual(image.descriptor.platform, { os: 'linux', architecture: 'amd64' })
    const original = parseManifest(await readContent(content, descriptor))
    const read = parseManifest(await readContent(copy, image.descriptor))
    assert.ok(original.kind === 'image' && read.kind === 'image')
    assert.equal(read.config.digest, original.config.digest)
    const [gz, zst, plain] = original.layers
    assert.ok(gz && zst && plain)
    const unpacked = zstdDecompressSync(content.blobs.get(zst.digest) ?? '')
    assert.deepEqual(
      read.layers.map(({ digest }) => digest),
      [gz.digest, digestOf(unpacked), plain.digest],
    )
    // The OCI layout in it tells the same.
    await using oci = await openTarArchive(file, readOciArchive, signal)
    assert.deepEqual((await copyAll(oci)).blobs.get(digestOf(unpacked)), unpacked)
  })

  test('takes the wanted platform of an index, or says that it is not there', async t => {
    const { content, two } = await sample()
    const images = [{ descriptor: two, names: ['multi:1'] }]
    const to = new Sink()
    const platform = { os: 'linux', architecture: 'arm64' }
    await writeDockerArchive({ source: content, images, to, signal, platform })
    const file = join(await temporaryDirectory(t), 'a.tar')
    await writeFile(file, to.bytes)
    await using archive = await openTarArchive(file, index => readDockerArchive(index, signal), signal)
    assert.equal(archive.images[0]?.descriptor.platform?.architecture, 'arm64')
    await assert.rejects(
      writeDockerArchive({
        source: content,
        images,
        to: new Sink(),
        signal,
        platform: { os: 'linux', architecture: 's390x' },
      }),
      { code: 'content-missing' },
    )
  })
})

describe('openImageArchive()', () => {
  test('reads files, compressed files, streams and directories alike, and cleans up', async t => {
    const { content, images } = await sample()
    const to = new Sink()
    await writeOciArchive({ source: content, images, to, signal })
    const directory = await temporaryDirectory(t)
    const temporary = join(directory, 'spool')
    await mkdir(temporary)
    await writeFile(join(directory, 'plain.tar'), to.bytes)
    await writeFile(join(directory, 'gzip.tar'), gzipSync(to.bytes))
    await writeOciLayout({ source: content, images, directory: join(directory, 'layout'), signal })
    async function* stream() {
      yield gzipSync(to.bytes)
    }
    const ends = [...['plain.tar', 'gzip.tar', 'layout'].map(name => join(directory, name)), stream()]
    for (const from of ends) {
      await using archive = await openImageArchive({ from, temporaryDirectory: temporary, signal })
      assert.deepEqual(sorted(await copyAll(archive)), sorted(content))
    }
    assert.deepEqual(await readdir(temporary), [])
  })

  test('refuses what is no archive, and leaves nothing behind', async t => {
    const directory = await temporaryDirectory(t)
    async function* garbage() {
      yield Buffer.alloc(5000, 'garbage')
    }
    const options = { temporaryDirectory: join(directory, 'spool'), signal }
    await assert.rejects(openImageArchive({ ...options, from: garbage() }), { code: 'tar-invalid' })
    await assert.rejects(openImageArchive({ ...options, from: join(directory, 'none') }), {
      code: 'content-missing',
    })
    assert.deepEqual(await readdir(options.temporaryDirectory), [])
  })
})

test('selectImage() finds by name, by tag, or the only one, and lists what there is', async () => {
  const { images } = await sample()
  assert.equal(selectImage({ images }, 'multi:1.0'), images[1])
  assert.equal(selectImage({ images }, '2'), images[0])
  assert.equal(selectImage({ images: images.slice(0, 1) }), images[0])
  for (const name of [undefined, 'other'])
    assert.throws(() => selectImage({ images }, name), { code: 'content-missing', message: /app:1\.0/ })
})

test('a corrupt blob fails the write instead of reaching the archive unnoticed', async () => {
  const { content, one } = await sample()
  const manifest = parseManifest(await readContent(content, one))
  assert.ok(manifest.kind === 'image')
  const layer = manifest.layers[0]?.digest ?? digestOf('')
  content.blobs.set(layer, gzipSync(gunzipSync(content.blobs.get(layer) ?? ''), { level: 0 }))
  const images = [{ descriptor: one, names: [] }]
  for (const write of [writeOciArchive, writeDockerArchive])
    await assert.rejects(write({ source: content, images, to: new Sink(), signal }), {
      code: /^(size|digest)-mismatch$/,
    })
})

test('an archive whose reader goes away ends in that error', async () => {
  const { content, images } = await sample()
  const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })
  const to = new Writable({ write: (_chunk, _encoding, done) => done(gone) })
  await assert.rejects(writeOciArchive({ source: content, images, to, signal }), gone)
})

function sorted(content: MemoryContent): readonly string[] {
  return [...content.blobs].map(([digest, bytes]) => `${digest} ${digestOf(bytes)}`).sort()
}
