import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { BuildError } from '../../../../src/builder/errors.ts'
import { createImageLayers } from '../../../../src/builder/images/image-layers.ts'
import type { ImageRegistries } from '../../../../src/builder/images/registry-source.ts'
import { createResolveImage } from '../../../../src/builder/images/resolve-image.ts'
import type { Descriptor } from '../../../../src/oci/descriptor.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { jsonBytes } from '../../../../src/oci/json.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import type { Platform } from '../../../../src/oci/platform.ts'
import { onDockerHub, parseReference, repositoryOf, type Tag } from '../../../../src/oci/reference.ts'
import { openStore } from '../../../../src/store/open.ts'
import { createRegistry } from './memory-registry.ts'

const AMD64 = { os: 'linux', architecture: 'amd64' }
const ARM64 = { os: 'linux', architecture: 'arm64' }
const { signal } = new AbortController()
const context = { signal, status: () => undefined }

describe('createResolveImage()', () => {
  it('finds an image on Docker Hub by its short name, and does not fetch its layers', async () => {
    await using test = await fixture()
    const published = await test.registry.publish('docker.io/library/debian', '12', [AMD64])
    const image = await test.resolve('debian:12')
    assert.equal(image.name, `docker.io/library/debian:12@${published.digest}`)
    assert.equal(image.layers.length, 2)
    assert.deepEqual(
      test.registry.opened.filter(name => name === 'layer'),
      [],
    )
  })

  it('fetches layers when they are needed, each once, verified, and then knows the image by its name', async () => {
    await using test = await fixture()
    const published = await test.registry.publish('docker.io/library/debian', '12', [AMD64])
    const { layers } = await test.resolve('debian:12')
    const records = await Promise.all([
      test.layers.require(layers, context),
      test.layers.require(layers.slice(0, 1), context),
    ])
    assert.deepEqual(
      records[0].map(({ diffID }) => diffID),
      layers.map(({ diffID }) => diffID),
    )
    assert.equal(test.registry.opened.filter(name => name === 'layer').length, 2)
    const name = repositoryOf(onDockerHub(parseReference('debian')))
    assert.equal(test.store.metadata.getTag(name, '12' as Tag)?.digest, published.digest)
    test.registry.isDown = true
    assert.equal((await test.another().resolve('debian:12')).digest, published.digest)
  })

  it('keeps an index of which only one platform was needed, and asks again for another', async () => {
    await using test = await fixture()
    const index = await test.registry.publish('docker.io/library/debian', '12', [AMD64, ARM64])
    const { layers, config } = await test.resolve('debian:12')
    assert.equal(config.architecture, 'amd64')
    await test.layers.require(layers, context)
    const name = repositoryOf(onDockerHub(parseReference('debian')))
    assert.equal(test.store.metadata.getTag(name, '12' as Tag)?.digest, index.digest)
    const other = await test.another().resolve('debian:12', ARM64)
    assert.equal(other.config.architecture, 'arm64')
    test.registry.isDown = true
    assert.equal((await test.another().resolve('debian:12')).config.architecture, 'amd64')
  })

  it('lists the platforms that there are when the one that is wanted is not among them', async () => {
    await using test = await fixture()
    await test.registry.publish('docker.io/library/debian', '12', [AMD64, ARM64])
    await assert.rejects(test.resolve('debian:12', { os: 'linux', architecture: 's390x' }), {
      code: 'platform-missing',
      detail: ['linux/amd64', 'linux/arm64'],
    })
  })

  it('a name without a host means our own image where there is one, even with --pull', async () => {
    await using test = await fixture({ pull: true })
    await test.registry.publish('docker.io/library/debian', '12', [AMD64])
    const { digest, layers } = await test.resolve('debian:12')
    await test.layers.require(layers, context)
    const name = repositoryOf(onDockerHub(parseReference('debian')))
    const record = test.store.metadata.getManifest(name, digest)
    assert.ok(record !== undefined)
    test.store.metadata.putManifest(repositoryOf(parseReference('mine')), record, ['1' as Tag])
    test.registry.isDown = true
    assert.equal((await test.another().resolve('mine:1')).name, `mine:1@${digest}`)
  })

  it('--pull asks the registry although the image is stored; a digest never changes', async () => {
    await using test = await fixture()
    const old = await test.registry.publish('docker.io/library/debian', '12', [AMD64])
    await test.layers.require((await test.resolve('debian:12')).layers, context)
    const newer = await test.registry.publish('docker.io/library/debian', '12', [AMD64], 'newer')
    assert.equal((await test.another().resolve('debian:12')).digest, old.digest)
    assert.equal((await test.another(true).resolve('debian:12')).digest, newer.digest)
    test.registry.isDown = true
    assert.equal((await test.another(true).resolve(`debian@${old.digest}`)).digest, old.digest)
  })

  it('tells what was looked for when there is no such image', async () => {
    await using test = await fixture()
    await assert.rejects(test.resolve('nope'), (error: unknown) => {
      assert.ok(error instanceof BuildError)
      assert.equal(error.code, 'image-missing')
      assert.match(error.message, /nope.*docker\.io\/library\/nope:latest/)
      return true
    })
  })

  it('tells why a registry could not be asked', async () => {
    await using test = await fixture()
    test.registry.isDown = true
    await assert.rejects(test.resolve('host.test/a:1'), (error: unknown) => {
      assert.ok(error instanceof BuildError)
      assert.equal(error.code, 'image-unavailable')
      assert.match(error.message, /host\.test\/a:1.*connection refused/)
      return true
    })
  })

  it('refuses a layer that is not what the config promises, and keeps no name for the image', async () => {
    await using test = await fixture()
    await test.registry.publish('docker.io/library/bad', '1', [AMD64], 'bad', digestOf('another tar'))
    const { layers } = await test.resolve('bad:1')
    await assert.rejects(test.layers.require(layers, context), { code: 'digest-mismatch' })
    const name = repositoryOf(onDockerHub(parseReference('bad')))
    assert.equal(test.store.metadata.getTag(name, '1' as Tag), undefined)
  })

  it('refuses a manifest whose layers and config do not fit', async () => {
    await using test = await fixture()
    const { registry } = test
    const config = registry.put(
      jsonBytes({ ...AMD64, rootfs: { type: 'layers', diff_ids: [] } }),
      MEDIA_TYPE.ociConfig,
    )
    const layer = registry.put(Buffer.from('x'), MEDIA_TYPE.ociLayer)
    registry.tag('host.test/a', '1', registry.putManifest({ config, layers: [layer] }))
    await assert.rejects(test.resolve('host.test/a:1'), { code: 'manifest-invalid' })
  })

  it('refuses an index that never comes to an image', async () => {
    await using test = await fixture()
    const { registry } = test
    let child: Descriptor = registry.put(jsonBytes({ schemaVersion: 2, manifests: [] }), MEDIA_TYPE.ociIndex)
    for (let depth = 0; depth < 10; depth++)
      child = registry.put(
        jsonBytes({ schemaVersion: 2, manifests: [{ ...child, platform: AMD64 }] }),
        MEDIA_TYPE.ociIndex,
      )
    registry.tag('host.test/a', '1', child)
    await assert.rejects(test.resolve('host.test/a:1'), { code: 'manifest-invalid' })
  })
})

async function fixture({ pull = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-images-'))
  const store = await openStore({ root: join(folder, 'store'), now: () => 1000 })
  const registry = createRegistry()
  const another = (pulls = pull) => {
    const layers = createImageLayers(store)
    const remote: ImageRegistries = registry
    const resolveImage = createResolveImage({
      store,
      remote,
      layers,
      pull: pulls,
      progress: () => undefined,
      monotonicNow: () => 0,
    })
    return {
      layers,
      resolve: (name: string, platform: Platform = AMD64) =>
        resolveImage(parseReference(name), platform, signal),
    }
  }
  return {
    store,
    registry,
    another,
    ...another(),
    async [Symbol.asyncDispose]() {
      store[Symbol.dispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
