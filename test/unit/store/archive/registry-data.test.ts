import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { describeBytes } from '../../../../src/oci/descriptor.ts'
import { type Digest, digestHex, digestOf } from '../../../../src/oci/digest.ts'
import { imageManifestBytes } from '../../../../src/oci/manifest.ts'
import { MEDIA_TYPE } from '../../../../src/oci/media-type.ts'
import { importRegistryData } from '../../../../src/store/archive/registry-data.ts'
import { openStore } from '../../../../src/store/open.ts'
import type { StoreRules } from '../../../../src/store/rules.ts'
import { NO_SIGNAL, repository, tag, temporaryFolder } from '../support.ts'

/** Data as distribution keeps it. */
class Data {
  readonly folder: string

  constructor(t: TestContext) {
    this.folder = temporaryFolder(t)
    mkdirSync(join(this.folder, 'blobs'))
  }

  image(name: string, tags: readonly string[], layerBytes: number): Digest {
    const config = this.#blob(Buffer.from('{"architecture":"amd64","os":"linux"}'))
    const layer = this.#blob(Buffer.alloc(layerBytes, name))
    const bytes = imageManifestBytes({
      mediaType: MEDIA_TYPE.ociManifest,
      config: { ...config, mediaType: MEDIA_TYPE.ociConfig },
      layers: [layer],
    })
    const { digest } = this.#blob(bytes)
    const manifests = join('repositories', name, '_manifests')
    this.#write(join(manifests, 'revisions', 'sha256', digestHex(digest), 'link'), digest)
    for (const each of tags) this.#write(join(manifests, 'tags', each, 'current', 'link'), digest)
    return digest
  }

  #blob(bytes: Buffer) {
    const hex = digestHex(digestOf(bytes))
    this.#write(join('blobs', 'sha256', hex.slice(0, 2), hex, 'data'), bytes)
    return describeBytes('application/vnd.oci.image.layer.v1.tar+gzip', bytes)
  }

  #write(path: string, bytes: Buffer | string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true })
    writeFileSync(join(this.folder, path), bytes)
  }
}

async function importInto(t: TestContext, root: string, data: Data, rules: StoreRules) {
  const store = await openStore({ root, now: Date.now, rules })
  t.after(() => store[Symbol.dispose]())
  const skipped: string[] = []
  const report = await importRegistryData({
    store,
    data: data.folder,
    signal: NO_SIGNAL,
    onImported: () => undefined,
    onSkipped: (what, why) => skipped.push(`${what}: ${why}`),
  })
  return { store, report, skipped }
}

describe('importRegistryData()', () => {
  it('goes on past a repository that a quota has no room for', async t => {
    const data = new Data(t)
    const big = data.image('big', ['1'], 100_000)
    data.image('small', ['1'], 10)
    const rules = { isImmutable: () => false, quotas: [{ prefix: 'big', limit: 5000 }] }
    const { store, report, skipped } = await importInto(t, join(data.folder, 'store'), data, rules)
    assert.deepEqual(
      {
        repositories: report.repositories,
        tags: report.tags,
        refused: report.refused,
        skipped: report.skipped,
      },
      { repositories: 1, tags: 1, refused: 1, skipped: 2 },
    )
    assert.ok(store.metadata.getTag(repository('small'), tag('1')))
    assert.equal(store.metadata.getManifest(repository('big'), big), undefined)
    assert.match(skipped[0] ?? '', /^big@sha256:.*quota/)
    assert.match(skipped[1] ?? '', /^big:1: its manifest was refused/)
  })

  it('goes on past an immutable tag that is something else here, and takes the other tags of its manifest', async t => {
    const data = new Data(t)
    const root = join(data.folder, 'store')
    const first = data.image('app', ['1', 'latest'], 10)
    const rules = { isImmutable: (_name: string, each: string) => each === '1', quotas: [] }
    await importInto(t, root, data, rules)
    const second = data.image('app', ['1', 'latest'], 20)
    const { store, report, skipped } = await importInto(t, root, data, rules)
    assert.equal(report.refused, 1)
    assert.equal(skipped.length, 1)
    assert.match(skipped[0] ?? '', /^app:1: /)
    assert.equal(store.metadata.getTag(repository('app'), tag('1'))?.digest, first)
    assert.equal(store.metadata.getTag(repository('app'), tag('latest'))?.digest, second)
  })
})
