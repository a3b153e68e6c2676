import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import type { DiskStore } from '../../../src/store/open.ts'
import { type LostContent, scrubContent } from '../../../src/store/scrub.ts'
import { collect, NO_SIGNAL, noise, putContent, repository, tag, temporaryStore } from './support.ts'

const LAYER = noise(200_000)

async function putImage(
  store: DiskStore,
  name: string,
  references: readonly Digest[],
  tags: readonly string[] = [],
) {
  const digest = await putContent(store.content, name)
  const record = { digest, mediaType: MEDIA_TYPE.ociManifest, size: name.length, references }
  store.metadata.putManifest(repository('app'), record, tags.map(tag))
  return digest
}

function scrub(store: DiskStore, onLost: (lost: LostContent) => void = () => undefined) {
  return scrubContent(store, { signal: NO_SIGNAL, onLost })
}

describe('scrubContent()', () => {
  it('finds nothing in a store that is whole', async t => {
    const { store } = await temporaryStore(t)
    await putImage(store, 'image', [await putContent(store.content, LAYER)], ['1'])
    await putContent(store.content, '')
    const size = LAYER.length + 'image'.length
    assert.deepEqual(await scrub(store), { blobs: 3, bytes: size, lost: [], dropped: [], orphans: 0 })
  })

  const damages: readonly (readonly [string, RegExp, (path: string) => void])[] = [
    [
      'a bit that has turned',
      /have changed/,
      path => {
        const bytes = readFileSync(path)
        bytes[100_000] = (bytes[100_000] ?? 0) ^ 1
        chmodSync(path, 0o644)
        writeFileSync(path, bytes)
      },
    ],
    ['a file that was cut', /1000 bytes instead of 200000/, path => truncateSync(path, 1000)],
    ['a file that is gone', /missing/, path => unlinkSync(path)],
  ]
  for (const [name, state, damage] of damages)
    it(`sets aside ${name}, names who needs it, and is mended by storing it again`, async t => {
      const { store, root } = await temporaryStore(t)
      const layer = await putContent(store.content, LAYER)
      const image = await putImage(store, 'image', [layer], ['1', '2'])
      await putImage(store, 'index', [image], ['all'])
      await putImage(store, 'untagged', [layer])
      await putImage(store, 'other', [], ['other'])
      damage(store.disk.layout.blob(layer))
      const told: LostContent[] = []
      const { lost, dropped } = await scrub(store, loss => told.push(loss))
      assert.deepEqual(dropped, [])
      assert.equal(lost.length, 1)
      assert.deepEqual(told, lost)
      assert.equal(lost[0]?.digest, layer)
      assert.match(lost[0]?.state ?? '', state)
      const untagged = `app@${digestOf('untagged')}`
      assert.deepEqual(lost[0]?.neededBy, {
        images: ['app:1', 'app:2', 'app:all', untagged],
        cacheRecords: 0,
      })
      const kept = lost[0]?.quarantined
      assert.deepEqual(
        existsSync(join(root, 'quarantine')) ? readdirSync(join(root, 'quarantine')).length : 0,
        kept ? 1 : 0,
      )
      assert.equal(await store.content.stat(layer), undefined)
      assert.equal((await scrub(store)).lost.length, 1, 'it stays lost until somebody stores it')

      await putContent(store.content, LAYER)
      assert.ok((await collect(await store.content.open(layer))).equals(LAYER))
      assert.equal((await scrub(store)).lost.length, 0)
      assert.ok(store.metadata.getTag(repository('app'), tag('1')))
    })

  it('drops what is damaged and needed by nobody, and counts files without a row', async t => {
    const { store } = await temporaryStore(t)
    const loose = await putContent(store.content, LAYER)
    truncateSync(store.disk.layout.blob(loose), 5)
    const path = store.disk.layout.blob(await putContent(store.content, 'fine'))
    writeFileSync(path.slice(0, -1) + (path.endsWith('0') ? '1' : '0'), 'orphan')
    const report = await scrub(store)
    assert.deepEqual(report.dropped, [loose])
    assert.equal(report.orphans, 1)
    assert.deepEqual(report.lost, [])
    assert.equal((await scrub(store)).blobs, 1)
  })
})
