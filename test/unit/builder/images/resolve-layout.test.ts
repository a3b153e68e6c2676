import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import type { ImageLayers } from '../../../../src/builder/images/image-layers.ts'
import { createResolveLayout } from '../../../../src/builder/images/resolve-layout.ts'
import type { Descriptor } from '../../../../src/oci/descriptor.ts'
import { digestHex, digestOf } from '../../../../src/oci/digest.ts'

const INDEX = 'application/vnd.oci.image.index.v1+json'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const AMD64 = { os: 'linux', architecture: 'amd64' }

const directory = mkdtempSync(join(tmpdir(), 'slipway-layout-'))
after(() => rmSync(directory, { recursive: true }))

function put(document: object, mediaType: string): Descriptor {
  const bytes = Buffer.from(JSON.stringify(document))
  const digest = digestOf(bytes)
  mkdirSync(join(directory, 'blobs/sha256'), { recursive: true })
  writeFileSync(join(directory, 'blobs/sha256', digestHex(digest)), bytes)
  return { mediaType, digest, size: bytes.length }
}

const indexOf = (manifests: readonly Descriptor[]) => ({ schemaVersion: 2, mediaType: INDEX, manifests })

it('createResolveLayout() finds an image by its digest within indexes, some of which are not there', async () => {
  const config = put(
    { ...AMD64, rootfs: { type: 'layers', diff_ids: [] }, config: { Env: ['found=yes'] } },
    'application/vnd.oci.image.config.v1+json',
  )
  const manifest = put({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [] }, MANIFEST)
  const absent = { mediaType: INDEX, digest: digestOf('absent'), size: 6 }
  const outer = put(indexOf([absent, put(indexOf([manifest]), INDEX)]), INDEX)
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(join(directory, 'index.json'), JSON.stringify(indexOf([absent, outer])))
  const resolve = createResolveLayout({ add: () => undefined } as unknown as ImageLayers)
  const found = await resolve(directory, manifest.digest, AMD64)
  assert.equal(found.digest, manifest.digest)
  assert.deepEqual(found.config.config.Env, ['found=yes'])
  await assert.rejects(resolve(directory, digestOf('other'), AMD64), { code: 'content-missing' })
})
