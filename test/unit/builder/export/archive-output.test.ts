import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { readContent } from '../../../../src/oci/graph.ts'
import { parseManifest } from '../../../../src/oci/manifest.ts'
import { readDockerArchive } from '../../../../src/store/archive/docker-archive.ts'
import { readOciArchive } from '../../../../src/store/archive/oci-archive.ts'
import { openOciLayout } from '../../../../src/store/archive/oci-layout.ts'
import { openTarArchive } from '../../../../src/store/archive/open-archive.ts'
import { openWorkshop } from '../building.ts'

const { signal } = new AbortController()

describe('build() with image archives as outputs', () => {
  it('writes several in one build, each whole and with its names', async () => {
    using workshop = await openWorkshop()
    const at = (name: string): string => join(workshop.folder, name)
    workshop.write('a', 'content')
    const result = await workshop.build('FROM scratch\nCOPY a /\nLABEL x=y', {
      tag: 'app:1',
      outputs: [
        { type: 'oci', tar: true, dest: at('image.oci') },
        { type: 'docker', tar: true, dest: at('image.docker') },
        { type: 'oci', tar: false, dest: at('layout') },
        { type: 'docker', tar: false, dest: at('docker') },
      ],
    })
    for (const open of [
      () => openTarArchive(at('image.oci'), readOciArchive, signal),
      () => openTarArchive(at('image.docker'), index => readDockerArchive(index, signal), signal),
      () => openOciLayout(at('layout')),
      () => openOciLayout(at('docker')),
    ]) {
      await using archive = await open()
      const [image] = archive.images
      assert.ok(image !== undefined)
      assert.equal(archive.images.length, 1)
      assert.equal(image.names.join(), 'app:1')
      const bytes = await readContent(archive.source, image.descriptor)
      const manifest = parseManifest(bytes, image.descriptor.mediaType)
      assert.ok(manifest.kind === 'image')
      assert.equal(manifest.config.digest, result.imageID)
      for (const node of [manifest.config, ...manifest.layers]) await readContent(archive.source, node)
    }
    const [entry] = JSON.parse(readFileSync(join(at('docker'), 'manifest.json'), 'utf8'))
    assert.deepEqual(entry.RepoTags, ['app:1'])
    for (const file of [entry.Config, ...entry.Layers]) readFileSync(join(at('docker'), file))
    assert.equal(await workshop.store.content.stat(result.digest), undefined)
  })

  it('replaces a symlink in a layout of somebody else, and not what it points at', async () => {
    using workshop = await openWorkshop()
    const dest = join(workshop.folder, 'docker')
    const victim = join(workshop.folder, 'victim')
    const build = () =>
      workshop.build('FROM scratch\nLABEL a=b', { outputs: [{ type: 'docker', tar: false, dest }] })
    await build()
    writeFileSync(victim, 'untouched')
    rmSync(join(dest, 'manifest.json'))
    symlinkSync(victim, join(dest, 'manifest.json'))
    await build()
    assert.equal(readFileSync(victim, 'utf8'), 'untouched')
    assert.equal(JSON.parse(readFileSync(join(dest, 'manifest.json'), 'utf8')).length, 1)
  })

  it('streams to a stream that stays open', async () => {
    using workshop = await openWorkshop()
    workshop.write('a', 'content')
    const dest = new PassThrough()
    const chunks: Buffer[] = []
    dest.on('data', chunk => chunks.push(chunk))
    const file = join(workshop.folder, 'image.oci')
    await workshop.build('FROM scratch\nCOPY a /', {
      outputs: [
        { type: 'oci', tar: true, dest },
        { type: 'oci', tar: true, dest: file },
      ],
    })
    assert.equal(dest.writableEnded, false)
    assert.ok(Buffer.concat(chunks).equals(readFileSync(file)))
  })

  it('leaves the old file when a blob turns out to be corrupt', async () => {
    using workshop = await openWorkshop()
    workshop.write('a', 'content')
    const first = await workshop.build('FROM scratch\nCOPY a /', { tag: 'base' })
    const [layer] = (await workshop.manifest(first)).layers
    assert.ok(layer !== undefined)
    const hex = layer.digest.slice(7)
    const blob = join(workshop.store.root, 'blobs/sha256', hex.slice(0, 2), hex)
    chmodSync(blob, 0o600)
    writeFileSync(blob, Buffer.alloc(layer.size, 1))
    const directory = join(workshop.folder, 'out')
    workshop.write('../out/image.oci', 'old')
    await assert.rejects(
      workshop.build('FROM base\nLABEL a=b', {
        outputs: [{ type: 'oci', tar: true, dest: join(directory, 'image.oci') }],
      }),
      (error: unknown) => error instanceof Error,
    )
    assert.deepEqual(readdirSync(directory), ['image.oci'])
    assert.equal(readFileSync(join(directory, 'image.oci'), 'utf8'), 'old')
  })
})
